// Asks one Aura server through one JavaScript client and prints what the client made of the answer as JSON.
// Usage: node clients.mjs <client> <base URL> <question> <events: on|off> <tools: on|off>
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

const [client, baseURL, question, events, tools] = process.argv.slice(2);
const headers = events === "on" ? { "X-Aura-Events": "1" } : {};
const model = tools === "on" ? "dev" : question === "list" ? "files" : "ops";
const parameters = { type: "object", properties: { path: { type: "string" } } };
const functions = [{ type: "function", function: { name: "read_file", parameters } }];
const messages = [{ role: "user", content: question }];
const seen = { text: "", finish: null, usage: null, calls: [], error: null };

const tally = (usage) => usage?.total_tokens ?? null;

async function raw() {
  const openai = new OpenAI({ baseURL, apiKey: "none", defaultHeaders: headers, maxRetries: 0 });
  const stream = await openai.chat.completions.create({
    model, messages, stream: true, stream_options: { include_usage: true },
    ...(tools === "on" ? { tools: functions } : {}),
  });
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    seen.text += choice?.delta.content ?? "";
    seen.finish = choice?.finish_reason ?? seen.finish;
    for (const call of choice?.delta.tool_calls ?? []) {
      seen.calls[call.index] ??= { name: call.function.name, arguments: "" };
      seen.calls[call.index].arguments += call.function.arguments;
    }
    seen.usage = tally(chunk.usage) ?? seen.usage;
  }
}

async function helper() {
  const openai = new OpenAI({ baseURL, apiKey: "none", defaultHeaders: headers, maxRetries: 0 });
  const stream = openai.chat.completions.stream({
    model, messages, stream_options: { include_usage: true }, ...(tools === "on" ? { tools: functions } : {}),
  });
  stream.on("content", (delta) => { seen.text += delta; });
  const final = await stream.finalChatCompletion();
  const choice = final.choices[0];
  seen.finish = choice.finish_reason;
  seen.calls = (choice.message.tool_calls ?? []).map((c) => ({ name: c.function.name, arguments: c.function.arguments }));
  seen.usage = tally(final.usage);
}

async function responses() {
  const openai = new OpenAI({ baseURL, apiKey: "none", defaultHeaders: headers, maxRetries: 0 });
  const stream = openai.responses.stream({
    model, input: question, ...(tools === "on" ? { tools: [{ type: "function", name: "read_file", parameters }] } : {}),
  });
  stream.on("response.output_text.delta", (event) => { seen.text += event.delta; });
  const final = await stream.finalResponse();
  const answered = final.output.filter((o) => o.type === "function_call_output").map((o) => o.call_id);
  const calls = final.output.filter((o) => o.type === "function_call" && !answered.includes(o.call_id));
  seen.calls = calls.map((c) => ({ name: c.name, arguments: c.arguments }));
  seen.finish = calls.length ? "tool_calls" : { completed: "stop", incomplete: "length" }[final.status];
  seen.usage = tally(final.usage);
  seen.error = final.error?.message ?? null;
}

async function aiSdk() {
  await aiSdkOver(createOpenAICompatible({ name: "aura", baseURL, headers, includeUsage: true }));
}

async function aiSdkResponses() {
  await aiSdkOver(createOpenAI({ baseURL, apiKey: "none", headers }));
}

async function aiSdkOver(provider) {
  const result = streamText({
    model: provider(model), messages, maxRetries: 0, onError: () => {},
    ...(tools === "on" ? { tools: { read_file: tool({ inputSchema: jsonSchema(parameters) }) } } : {}),
  });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") seen.text += part.text;
    if (part.type === "tool-call" && !part.providerExecuted) seen.calls.push({ name: part.toolName, arguments: JSON.stringify(part.input) });
    if (part.type === "error") seen.error = String(part.error?.message ?? part.error);
    if (part.type === "finish") {
      seen.finish = { "tool-calls": "tool_calls" }[part.finishReason] ?? part.finishReason;
      seen.usage = part.totalUsage.totalTokens ?? null;
    }
  }
}

async function langchain(further = {}) {
  let chat = new ChatOpenAI({
    model, apiKey: "none", streamUsage: true, maxRetries: 0, configuration: { baseURL, defaultHeaders: headers },
    ...further,
  });
  if (tools === "on") chat = chat.bindTools(functions);
  let whole;
  for await (const chunk of await chat.stream([new HumanMessage(question)])) {
    seen.text += chunk.text;
    whole = whole === undefined ? chunk : whole.concat(chunk);
  }
  const status = whole.response_metadata.status;
  seen.finish = whole.response_metadata.finish_reason ?? { completed: "stop", incomplete: "length" }[status] ?? null;
  seen.calls = (whole.tool_calls ?? []).map((c) => ({ name: c.name, arguments: JSON.stringify(c.args) }));
  if (status !== undefined && seen.calls.length) seen.finish = "tool_calls";
  seen.usage = whole.usage_metadata?.total_tokens ?? null;
}

const langchainResponses = () => langchain({ useResponsesApi: true });

try {
  const clients = {
    raw, helper, "ai-sdk": aiSdk, langchain, responses, "ai-sdk-responses": aiSdkResponses,
    "langchain-responses": langchainResponses,
  };
  await clients[client]();
} catch (error) {
  seen.error = String(error?.message ?? error);
}
console.log(JSON.stringify(seen));
