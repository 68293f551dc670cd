// A real OpenID provider for the tests, on loopback: RFC 9068 access tokens, DPoP with nonces, certificate-bound tokens, introspection
// and revocation, sign-in without a browser, and a control that rotates keys and plays dead. Prints its addresses as one line of JSON.
//
// With PROVIDER_CERTIFICATE and PROVIDER_KEY it speaks TLS. Two issuers of the same keys listen, so that a token of the wrong issuer is one whose signature is good. The package does not
// introspect or revoke access tokens that are JWTs; both are asked about the refresh token of the same grant instead.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

import { Provider } from 'oidc-provider';

const SECRET = process.env.WINDOW_SECRET;
const SCOPES = 'function_calls customer_words confirm enrol_passkeys';
const AUDIENCE = 'https://window.example';
const COOKIE_KEYS = [randomBytes(16).toString('hex')];
const TLS = process.env.PROVIDER_CERTIFICATE && {
  cert: readFileSync(process.env.PROVIDER_CERTIFICATE),
  key: readFileSync(process.env.PROVIDER_KEY),
};
const NONCE_SECRET = randomBytes(32);

const down = { keys: false, introspection: false };
const asked = { keys: 0, introspection: 0 };
// whoever comes without a login_hint is this person of the bank's
const staff = { name: 'ada', groups: [], acr: 'urn:bank:two-factor' };
const refreshTokenOf = new Map();
const grantOf = new Map();
let keys = [];
const issuers = [];

function newKey() {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(jwk.x).digest('base64url').slice(0, 8);
  return { ...jwk, kid, use: 'sig', alg: 'ES256' };
}

function client(id, more) {
  return {
    client_id: id,
    redirect_uris: ['https://app.example/cb'],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    id_token_signed_response_alg: 'ES256',
    ...more,
  };
}

function built(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: COOKIE_KEYS },
    clients: [
      client('assistant', { dpop_bound_access_tokens: true }),
      client('app', { dpop_bound_access_tokens: true }),
      client('plain', {}),
      client('server', { tls_client_certificate_bound_access_tokens: true }),
      {
        client_id: 'window', client_secret: SECRET, redirect_uris: [], response_types: [], grant_types: [],
        token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256',
      },
      ...(process.env.STAFF_REDIRECT ? [client('operations', {
        client_secret: SECRET, redirect_uris: process.env.STAFF_REDIRECT.split(' '), token_endpoint_auth_method: 'client_secret_basic',
        require_auth_time: true,
      })] : []),
    ],
    claims: { openid: ['sub', 'groups'] },
    conformIdTokenClaims: false,
    acrValues: ['urn:bank:one-factor', 'urn:bank:two-factor'],
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, groups: staff.groups }) }),
    issueRefreshToken: () => true,
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 600, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600, RefreshToken: 3600 },
    // one client is an agent's: its tokens say so, as after a token exchange (RFC 8693)
    extraTokenClaims(ctx) {
      const code = ctx.oidc.entities.AuthorizationCode;
      const act = ctx.oidc.client.clientId === 'app' ? {} : { act: { sub: ctx.oidc.client.clientId } };
      return { acr: code.acr, auth_time: code.authTime, ...act };
    },
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true, nonceSecret: NONCE_SECRET, requireNonce: () => true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => decodeURIComponent(ctx.get('x-client-certificate')) || undefined,
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: SCOPES,
          audience: resource,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  provider.on('refresh_token.saved', (token) => refreshTokenOf.set(token.grantId, token.jti));
  provider.on('access_token.issued', (token) => grantOf.set(token.jti, token.grantId));
  provider.use(async (ctx, next) => {
    if (/^\/token\/(introspection|revocation)$/.test(ctx.path) && ctx.method === 'POST') {
      const chunks = [];
      for await (const chunk of ctx.req) chunks.push(chunk);
      const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
      const payload = form.token?.split('.')[1];
      if (payload) {
        const { jti } = JSON.parse(Buffer.from(payload, 'base64url').toString());
        form.token = refreshTokenOf.get(grantOf.get(jti)) ?? 'none';
        form.token_type_hint = 'refresh_token';
      }
      ctx.req.body = form;
    }
    await next();
  });
  return provider;
}

async function signIn(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const accountId = params.login_hint ?? staff.name;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(params.resource ?? AUDIENCE, SCOPES);
  const login = { accountId, acr: params.login_hint === undefined ? staff.acr : params.acr_values ?? 'urn:bank:one-factor', remember: false };
  await provider.interactionFinished(request, response, { login, consent: { grantId: await grant.save() } });
}

function control(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  if (pathname === '/control/rotate') {
    keys = [newKey()];
    for (const issuer of issuers) issuer.provider = built(issuer.url);
  }
  if (pathname === '/control/staff') {
    Object.assign(staff, Object.fromEntries(searchParams), { groups: searchParams.get('groups').split(' ') });
    return response.end('{}');
  }
  for (const [what, value] of searchParams) down[what] = value === 'down';
  response.end(JSON.stringify({ asked, kid: keys[0].kid }));
}

async function answer(issuer, request, response) {
  if (request.url.startsWith('/control/')) return control(request, response);
  for (const [what, path] of [['keys', /^\/(jwks|\.well-known)/], ['introspection', /^\/token\/introspection/]]) {
    if (path.test(request.url)) {
      asked[what] += 1;
      if (down[what]) return request.socket.destroy();
    }
  }
  if (request.url.startsWith('/interaction/')) return signIn(issuer.provider, request, response);
  return issuer.provider.callback()(request, response);
}

async function listen() {
  const issuer = {};
  const take = (request, response) => {
    Promise.resolve(answer(issuer, request, response)).catch((error) => {
      process.stderr.write(`${error.stack}\n`);
      response.statusCode = 500;
      response.end();
    });
  };
  const server = TLS ? createTlsServer(TLS, take) : createServer(take);
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  issuer.url = `${TLS ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
  issuer.provider = built(issuer.url);
  issuers.push(issuer);
}

keys = [newKey()];
await listen();
await listen();
process.stdout.write(`${JSON.stringify({ issuer: issuers[0].url, other: issuers[1].url, audience: AUDIENCE })}\n`);
