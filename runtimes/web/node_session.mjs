// A TF.js graph model in Node: `node node_session.mjs FOLDER`, where FOLDER holds node_modules. The protocol:
//
// A request is one JSON line on standard input, {"do": name, "bytes": n, ...}, followed by n raw bytes; an answer is
// one JSON line on standard output, {"ok": value, "bytes": n} or {"error": message, "kind": kind, "bytes": 0},
// followed by n raw bytes.
//
//   load    model (a folder with model.json), backend ("wasm" or "cpu")
//           -> backend (as TF.js answers after loading), proof, threads; library_ms and library_rss_bytes: the time since the process
//           started, and its memory, when TF.js was ready and the model not yet read
//   run, trace, bind, release, sample               as in requests.mjs
//   memory                                          -> tensors and bytes that TF.js holds
//
// The kinds of errors: "unavailable" (the backend), "model" (the files), "run" (anything else). One request is
// answered before the next is read, with blocking reads: nothing else runs while a model is timed. The process ends
// when its input does. Standard output belongs to the protocol; what libraries print goes to standard error.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { Failure } from './engine.mjs';
import { GraphSession } from './graph_session.mjs';
import { sessionHandlers } from './requests.mjs';

console.log = console.info = console.debug = console.error;

const STDIN = 0;
const STDOUT = 1;
const folder = path.resolve(process.argv[2]);
const require = createRequire(path.join(folder, 'package.json'));

let session = null;
let tf = null;
let converter = null;

const handlers = {
    async load({ model, backend }) {
        await openBackend(backend);
        const library = { library_ms: performance.now(), library_rss_bytes: process.memoryUsage.rss() };
        session = new GraphSession(tf, await readModel(model));
        const found = tf.getBackend();
        const [threads, simd] = await describeBackend(found);
        const proof = `tf.getBackend() is ${found}${simd}, ${threads} thread(s)`;
        return { ok: { backend: found, proof, threads, ...library } };
    },

    ...sessionHandlers(() => session),

    memory() {
        const { numTensors, numBytes } = tf.memory();
        return { ok: { tensors: numTensors, bytes: numBytes } };
    },
};

// Only the backend that was asked for is imported, so there is none to fall back to.
async function openBackend(backend) {
    try {
        tf = require('@tensorflow/tfjs-core');
        converter = require('@tensorflow/tfjs-converter');
        const module = require(`@tensorflow/tfjs-backend-${backend}`);
        if (backend === 'wasm') {
            module.setWasmPaths(path.join(folder, 'node_modules/@tensorflow/tfjs-backend-wasm/wasm-out') + path.sep);
        }
        if (!(await tf.setBackend(backend)) || tf.getBackend() !== backend) {
            throw new Error(`TF.js did not start its backend ${backend}; it has ${tf.getBackend()}`);
        }
        await tf.ready();
    } catch (error) {
        throw new Failure('unavailable', error);
    }
}

async function describeBackend(backend) {
    if (backend !== 'wasm') {
        return [1, ''];
    }
    const simd = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? ' with SIMD' : '';
    return [require('@tensorflow/tfjs-backend-wasm').getThreadsCount(), simd];
}

// loadGraphModel fetches over HTTP; here the files are read.
async function readModel(model) {
    try {
        const json = JSON.parse(fs.readFileSync(path.join(model, 'model.json'), 'utf8'));
        const artifacts = await tf.io.getModelArtifactsForJSON(json, (manifest) => {
            const shards = manifest.flatMap((group) => group.paths).map((name) => fs.readFileSync(path.join(model, name)));
            return [manifest.flatMap((group) => group.weights), asArrayBuffer(Buffer.concat(shards))];
        });
        return await converter.loadGraphModel(tf.io.fromMemory(artifacts));
    } catch (error) {
        throw new Failure('model', error);
    }
}

function asArrayBuffer(buffer) {
    return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
}

// What was read of the input and not yet asked for.
let held = Buffer.alloc(0);
const chunk = Buffer.alloc(1 << 16);

// The next line, or null at the end of the input.
function readLine() {
    let end;
    while ((end = held.indexOf('\n')) < 0) {
        const n = fs.readSync(STDIN, chunk);
        if (n === 0) {
            return null;
        }
        held = Buffer.concat([held, chunk.subarray(0, n)]);
    }
    const line = held.toString('utf8', 0, end);
    held = held.subarray(end + 1);
    return line;
}

function readBytes(count) {
    const content = Buffer.from(new ArrayBuffer(count));
    let at = held.copy(content, 0, 0, count);
    held = held.subarray(at);
    while (at < count) {
        const n = fs.readSync(STDIN, content, at, count - at);
        if (n === 0) {
            process.exit(1);
        }
        at += n;
    }
    return content.buffer;
}

function write(view) {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let at = 0; at < bytes.length; ) {
        at += fs.writeSync(STDOUT, bytes, at);
    }
}

async function answer(request, content) {
    try {
        return await handlers[request.do](request, content);
    } catch (error) {
        return { error: error?.message ?? String(error), kind: error instanceof Failure ? error.kind : 'run' };
    }
}

for (let line = readLine(); line !== null; line = readLine()) {
    const request = JSON.parse(line);
    const { blobs = [], ...reply } = await answer(request, readBytes(request.bytes));
    const bytes = blobs.reduce((sum, blob) => sum + blob.byteLength, 0);
    write(Buffer.from(JSON.stringify({ ...reply, bytes }) + '\n'));
    blobs.forEach(write);
}
process.exit(0);
