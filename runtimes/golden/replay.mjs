// Does each artifact predict what its source predicted? Replays this folder's samples in Node.
//
//     node golden/replay.mjs                 every artifact of the bundle that Node can run
//     node golden/replay.mjs tfjs            one, by its name in golden.json or its path in the bundle
//
// The packages come from the node_modules of the current folder, or of a folder above it:
//
//     npm install @tensorflow/tfjs-core @tensorflow/tfjs-converter @tensorflow/tfjs-backend-wasm     for TF.js
//     npm install onnxruntime-node                                        (or onnxruntime-web)       for ONNX
//
// The rule is in golden.json, in words. One line for each artifact: passed, mismatch, failed (it cannot be run) or
// unavailable (its runtime is not here). The exit code is 0 when all that could be run passed, 1 when one did not,
// 2 when there is no such artifact, 6 when one that was named, or every one, is unavailable.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import './golden.js';

const BUNDLE = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(path.join(process.cwd(), 'package.json'));
const { replay, openTfjs } = globalThis.golden;

class Unavailable extends Error {}

// The first of these packages that is installed, with its name; the others are never loaded.
function firstOf(...names) {
    for (const name of names) {
        try {
            return [name, require(name)];
        } catch (error) {
            if (error.code !== 'MODULE_NOT_FOUND') {
                throw error;
            }
        }
    }
    throw new Unavailable(`${names[0]} is not in ${process.cwd()}/node_modules: npm install ${names[0]}`);
}

async function read(name) {
    const bytes = fs.readFileSync(path.join(BUNDLE, name));
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

const OPEN = {
    async tfjs(artifact) {
        const [, tf] = firstOf('@tensorflow/tfjs-core');
        const [, { loadGraphModel }] = firstOf('@tensorflow/tfjs-converter');
        const [name, backend] = firstOf('@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-backend-cpu');
        backend.setWasmPaths?.(path.join(path.dirname(require.resolve(`${name}/package.json`)), 'wasm-out/'));
        await tf.setBackend(name.split('-').at(-1));
        return openTfjs(tf, loadGraphModel, artifact, read);
    },

    async onnx(artifact) {
        const [, ort] = firstOf('onnxruntime-node', 'onnxruntime-web');
        const session = await ort.InferenceSession.create(new Uint8Array(await read(artifact.path)));
        return async (feeds) => {
            const tensors = feeds.map(({ name, dtype, shape, data }) => [name, new ort.Tensor(dtype, data, shape)]);
            const found = await session.run(Object.fromEntries(tensors));
            return artifact.outputs.map(({ name }) => ({ shape: found[name].dims, data: found[name].data }));
        };
    },
};

async function judge(index, artifact) {
    try {
        if (!(artifact.format in OPEN)) {
            throw new Unavailable('no runtime in Node: python golden/replay.py runs it');
        }
        const { passed, why } = await replay(index, artifact, read, await OPEN[artifact.format](artifact));
        return [passed ? 0 : 1, passed ? 'passed' : 'mismatch', why];
    } catch (error) {
        return error instanceof Unavailable ? [6, 'unavailable', error.message] : [1, 'failed', String(error)];
    }
}

const index = JSON.parse(fs.readFileSync(new URL('golden.json', import.meta.url), 'utf8'));
const asked = process.argv[2];
const wanted = index.artifacts.filter((one) => !asked || [one.name, one.path].includes(path.normalize(asked)));
if (!wanted.length) {
    console.error(`${asked} is none of ${index.artifacts.map((one) => one.path).join(', ')}`);
    process.exit(2);
}
const codes = [];
for (const artifact of wanted) {
    const [code, word, why] = await judge(index, artifact);
    console.log(`${artifact.name.padEnd(14)} ${word.padEnd(12)} ${why}`);
    codes.push(code);
}
const none = codes.every((code) => code === 6);
process.exit(codes.includes(1) ? 1 : none ? 6 : 0);
