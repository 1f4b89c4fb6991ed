// A model in a page: what `session.html` runs. The protocol, over HTTP with the server that the page came from:
//
// The page POSTs its last answer to `next`, empty at first, and the response is the next request. Either is one JSON
// line and raw bytes after it: {"do": name, ...} asks, {"ok": value} or {"error": message, "kind": kind} answers.
// Nothing is asked or told while a model is timed. The kinds of errors are those of engine.mjs.
//
//   load    module (URL of an engine), backend, threads   -> settings, threads, isolated (whether the page may have
//           threads at all), ms (what it took)
//   open    model (URL), beside ({name: URL} of the files that belong to it)
//           -> inputs, outputs (null where the engine does not say), ms
//   prove                                                 -> proof, emulated; after the first run
//   memory                                                -> what the engine holds, where it says
//
// and what requests.mjs lists. URLs are relative to the page.

import { sessionHandlers } from './requests.mjs';

let engine = null;
let session = null;

const handlers = {
    async load({ module, backend, threads }) {
        const begin = performance.now();
        const { load } = await import(absolute(module));
        engine = await load(backend, { packages: absolute('packages/'), threads: threads ?? undefined });
        const ms = performance.now() - begin;
        globalThis.gc?.(); // what only loading it held is no memory of the library
        return { ok: { settings: engine.settings, threads: engine.threads, isolated: crossOriginIsolated, ms } };
    },

    async open({ model, beside = {} }) {
        const files = Object.fromEntries(Object.entries(beside).map(([name, url]) => [name, absolute(url)]));
        const begin = performance.now();
        session = await engine.open(absolute(model), files);
        const ms = performance.now() - begin;
        return { ok: { inputs: session.inputs ?? null, outputs: session.outputs ?? null, ms } };
    },

    prove() {
        return { ok: engine.describe() };
    },

    memory() {
        return { ok: engine.memory() };
    },

    ...sessionHandlers(() => session),
};

function absolute(url) {
    return new URL(url, document.baseURI).href;
}

async function answer(request, content) {
    try {
        return await handlers[request.do](request, content);
    } catch (error) {
        return { error: error?.message ?? String(error), kind: error?.kind ?? 'run' };
    }
}

// A JSON line and the data after it; the data may lie in memory that threads share, which fetch does not take.
function encode({ blobs = [], ...reply }) {
    const views = [new TextEncoder().encode(JSON.stringify(reply) + '\n'), ...blobs];
    const bytes = new Uint8Array(views.reduce((sum, view) => sum + view.byteLength, 0));
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of views) {
        bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
        at += byteLength;
    }
    return bytes;
}

function decode(buffer) {
    const bytes = new Uint8Array(buffer);
    const end = bytes.indexOf(10);
    return [JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))), buffer.slice(end + 1)];
}

// What goes wrong outside an answer is told in the browser's log, marked as the page's.
for (const kind of ['error', 'warn']) {
    const told = console[kind];
    console[kind] = (...words) => told('[page]', ...words);
}
addEventListener('error', ({ message }) => console.error(message));
addEventListener('unhandledrejection', ({ reason }) => console.error(String(reason)));

for (let last = new Uint8Array(0); ; ) {
    const response = await fetch('next', { method: 'POST', body: last });
    const [request, content] = decode(await response.arrayBuffer());
    last = encode(await answer(request, content));
}
