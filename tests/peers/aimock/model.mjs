// A scripted model's server on loopback, over Chat Completions and the Responses API. Its base URL is printed as JSON, on one line.
import { LLMock } from "@copilotkit/aimock";

const usage = (prompt, completion) => ({
  prompt_tokens: prompt, completion_tokens: completion, input_tokens: prompt, output_tokens: completion,
  total_tokens: prompt + completion,
});
const rent = { name: "pay", arguments: '{"to":"Zoë","amount":"12.50"}', id: "call_rent" };
const look = { name: "balance", arguments: "{}", id: "call_look" };

const mock = new LLMock({ port: 0, host: "127.0.0.1", chunkSize: 3, logLevel: "silent" });
const said = (userMessage, hasToolResult, response) => mock.addFixture({ match: { userMessage, hasToolResult }, response });
said("words", false, { content: "Grüße, Zoë 😀.", usage: usage(21, 9) });
said("a call", false, { toolCalls: [rent], usage: usage(21, 9) });
said("a call", true, { content: "Paid.", usage: usage(21, 9) });
said("two calls", false, { toolCalls: [rent, look], usage: usage(21, 9) });
said("both", false, { content: "One moment.", toolCalls: [look], usage: usage(21, 9) });
said("too long", false, { content: "Once upon a", finishReason: "length", usage: usage(21, 9) });
said("too often", false, { error: { message: "secret", type: "rate_limit_error" }, status: 429, retryAfter: 1 });
said("wrong", false, { error: { message: "secret", type: "invalid_request_error" }, status: 400 });
said("broken", false, { error: { message: "secret", type: "server_error" }, status: 500 });
mock.addFixture({
  match: { userMessage: "cut off", hasToolResult: false }, response: { content: "Once upon a time there was" }, truncateAfterChunks: 3,
});

await mock.start();
console.log(JSON.stringify({ url: `${mock.url}/v1` }));
