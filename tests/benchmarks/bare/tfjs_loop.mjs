// A plain loop in TF.js: `node tfjs_loop.mjs MODEL BACKEND PACKAGES`, PACKAGES being the folder of package.json.
// `../fidelity.py` says what it reads and writes.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import readline from 'node:readline';

const [folder, backend, packages] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const tf = require('@tensorflow/tfjs-core');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
const module = require(`@tensorflow/tfjs-backend-${backend}`);
if (backend === 'wasm') {
    module.setWasmPaths(`${packages}/node_modules/@tensorflow/tfjs-backend-wasm/wasm-out/`);
}
await tf.setBackend(backend);

// Node's fetch reads no files: the model comes from an IOHandler.
const json = JSON.parse(fs.readFileSync(`${folder}/model.json`, 'utf8'));
const [group] = json.weightsManifest;
const weights = Buffer.concat(group.paths.map((name) => fs.readFileSync(`${folder}/${name}`)));
const model = await loadGraphModel({
    load: async () => ({
        modelTopology: json.modelTopology,
        signature: json.signature,
        weightSpecs: group.weights,
        weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
    }),
});

const inputs = {};
for await (const line of readline.createInterface({ input: process.stdin })) {
    const [file, seconds] = line.split(' ');
    const images = (inputs[file] ??= readNpy(file));
    const times = [];
    const end = performance.now() + Number(seconds) * 1e3;
    while (times.length < 3 || performance.now() < end) {
        const image = images[times.length % images.length];
        const begin = performance.now();
        const result = model.execute(image);
        result.dataSync();
        times.push((performance.now() - begin) / 1e3);
        result.dispose();
    }
    console.log(JSON.stringify(times));
}

// The arrays along the first axis of a float32 .npy file, as tensors.
function readNpy(file) {
    const bytes = fs.readFileSync(file);
    const start = 10 + bytes.readUInt16LE(8);
    const [, sizes] = /'shape': \(([^)]*)\)/.exec(bytes.toString('latin1', 10, start));
    const [count, ...shape] = sizes.split(',').map(Number);
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
    const size = values.length / count;
    return Array.from({ length: count }, (_, i) => tf.tensor(values.slice(i * size, (i + 1) * size), shape));
}
