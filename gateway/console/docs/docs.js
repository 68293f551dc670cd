// Swagger UI over the document of this same origin. `#token=...` is a bearer token to try with; it leaves the address at once.
"use strict";

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (location.hash) history.replaceState(null, "", location.pathname);

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: () => {
    if (token) ui.preauthorizeApiKey("bearer", token);
  },
});
