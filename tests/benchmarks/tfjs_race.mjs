// Two graph models in turns in one process: `node tfjs_race.mjs PACKAGES BACKEND SECONDS FEEDS FIRST SECOND`.
//
// PACKAGES is the folder of package.json, FEEDS a JSON file: a tensor's name to {shape, dtype, data}. Models are opened
// in the order given. Standard output is one JSON line, a list with an entry for each model: {outputs: {name: [numbers]},
// times: [milliseconds, the median of some runs in a row, one for each round]}, or {error}.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [packages, backend, seconds, feedsFile, ...folders] = process.argv.slice(2);
console.info = console.warn = console.error;
const require = createRequire(`${packages}/package.json`);
const tf = require('@tensorflow/tfjs-core');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
const module = require(`@tensorflow/tfjs-backend-${backend}`);
if (backend === 'wasm') {
    module.setWasmPaths(`${packages}/node_modules/@tensorflow/tfjs-backend-wasm/wasm-out/`);
}
await tf.setBackend(backend);
await tf.ready();

const feeds = Object.fromEntries(
    Object.entries(JSON.parse(fs.readFileSync(feedsFile))).map(([name, { shape, dtype, data }]) => [
        name,
        tf.tensor(data, shape, dtype),
    ]),
);

// Node's fetch reads no files: the model comes from memory.
async function open(folder) {
    const json = JSON.parse(fs.readFileSync(path.join(folder, 'model.json')));
    const artifacts = await tf.io.getModelArtifactsForJSON(json, (manifest) => {
        const shards = manifest.flatMap((group) => group.paths).map((name) => fs.readFileSync(path.join(folder, name)));
        return [manifest.flatMap((group) => group.weights), new Uint8Array(Buffer.concat(shards)).buffer];
    });
    const model = await loadGraphModel(tf.io.fromMemory(artifacts));
    const isAsync = json.modelTopology.node.some(({ op }) => /^(Switch|Merge|Enter|Where|While|StatelessWhile)$/.test(op));
    const names = Object.values(json.signature.outputs).map(({ name }) => name);
    // A side that has lost an input, because nothing reads it, is not given it.
    const known = new Set(Object.values(json.signature.inputs).map(({ name }) => name));
    const own = Object.fromEntries(Object.entries(feeds).filter(([name]) => known.has(name)));
    const run = async () => {
        const results = isAsync ? await model.executeAsync(own, names) : model.execute(own, names);
        const tensors = [results].flat();
        const data = await Promise.all(tensors.map((tensor) => tensor.data()));
        tf.dispose(tensors);
        return data;
    };
    const outputs = (await run()).map((data, i) => [names[i], Array.from(data, Number)]);
    return { run, outputs: Object.fromEntries(outputs), times: [] };
}

async function timed({ run }) {
    const begin = performance.now();
    await run();
    return performance.now() - begin;
}

async function median(model, runs) {
    const times = [];
    for (let i = 0; i < runs; i++) {
        times.push(await timed(model));
    }
    return times.sort((a, b) => a - b)[runs >> 1];
}

const models = [];
for (const folder of folders) {
    models.push(await open(folder).catch((error) => ({ error: error.message })));
}
const racers = models.filter(({ error }) => !error);
if (racers.length === 2 && Number(seconds) > 0) {
    // The first half of the time warms up: code is compiled while it runs.
    const half = Number(seconds) * 500;
    for (const end = performance.now() + half; performance.now() < end; ) {
        await timed(racers[0]);
        await timed(racers[1]);
    }
    const runs = Math.min(51, Math.max(3, Math.round(5 / (await timed(racers[0])))));
    for (const end = performance.now() + half; performance.now() < end || racers[0].times.length < 10; ) {
        for (const racer of Math.random() < 0.5 ? racers : [...racers].reverse()) {
            racer.times.push(await median(racer, runs));
        }
    }
}
console.log(JSON.stringify(models.map(({ error, outputs, times }) => (error ? { error } : { outputs, times }))));
