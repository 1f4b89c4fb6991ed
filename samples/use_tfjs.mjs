// Predict with the TF.js graph model of a bundle in Node, on the WebAssembly backend.
//
//     python samples/read_bundle.py BUNDLE tfjs heldout.json
//     node samples/use_tfjs.mjs BUNDLE heldout.json [PACKAGES]
//
// PACKAGES is the folder that holds node_modules; runtimes/web, where `make build` installs them, unless it is given.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const [bundle, heldout, packages = fileURLToPath(new URL('../runtimes/web', import.meta.url))] = process.argv.slice(2);
const require = createRequire(path.resolve(packages, 'package.json'));
const tf = require('@tensorflow/tfjs-core');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');

setWasmPaths(path.join(path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'wasm-out/'));
await tf.setBackend('wasm');

// In a page loadGraphModel takes the address of model.json. Plain Node has no such loader, so the files are read here.
const folder = path.join(bundle, 'tfjs');
const model = await loadGraphModel({
    async load() {
        const json = JSON.parse(fs.readFileSync(path.join(folder, 'model.json'), 'utf8'));
        return tf.io.getModelArtifactsForJSON(json, (groups) => {
            const shards = groups.flatMap((group) => group.paths).map((name) => fs.readFileSync(path.join(folder, name)));
            return [groups.flatMap((group) => group.weights), new Uint8Array(Buffer.concat(shards)).buffer];
        });
    },
});

const { shape, images, labels } = JSON.parse(fs.readFileSync(heldout, 'utf8'));
const classes = await tf.argMax(model.predict(tf.tensor(images, shape)), 1).data();

const right = classes.filter((found, i) => found === labels[i]).length;
console.log('predicted', ...classes.slice(0, 10));
console.log('label    ', ...labels.slice(0, 10));
console.log(`accuracy ${(right / labels.length).toFixed(4)} on ${labels.length} samples, backend ${tf.getBackend()}`);
