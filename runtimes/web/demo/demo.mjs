// The demo page: one image, every web runtime of the bundle.
//
// demo.json beside the page says what there is (runtimes/demo/description.py). For tests, <html> has data-state (see Turns)
// and data-agree, every card has its runtime, backend, state and answer as data, and window.demoState() has everything.

import { completed, modelPixels } from '../preprocess.mjs';
import { conclude, distances, isClassifier, largest } from './answer.mjs';
import { listenForFiles } from './arrivals.mjs';
import { Card, make } from './card.mjs';
import { inkImage, inkStyle } from './ink.mjs';
import { Pad } from './pad.mjs';
import { asImageData, readPicture } from './pictures.mjs';
import { Downloads, nextFrame, Runtime } from './runtime.mjs';
import { Turns } from './turns.mjs';

// Two rows of buttons.
const SAMPLES = 10;
const FRAMEWORKS = { torch: 'PyTorch', keras: 'Keras', onnx: 'ONNX', tensorflow: 'TensorFlow' };

const root = document.documentElement;
const part = (id) => document.getElementById(id);

// How the data's digits are drawn, once the samples are here.
let style;
let isUpdateDue = false;
let lastConclusion = null;
let lastSaid = '';
// Counts what a person gives: a file that was read too late for the next thing does not replace it.
let given = 0;

// Ink is taken from the start, and answered once it is known what the model is.
let isLaidOut = false;
root.classList.add('started');
const pad = new Pad(part('pad'), { changed: () => isLaidOut && takeInk(), said: say });
pad.enable();

const demo = await fetchJson(new URL('demo.json', document.baseURI));
const operations = demo.preprocessing ?? [];
const ofSample = operations.filter(({ op }) => op !== 'resize' && op !== 'center_crop');
const classifies = isClassifier(demo.output);
const source = FRAMEWORKS[demo.source] ?? demo.source;
const [height, width, channels] = ['H', 'W', 'C'].map((axis) => demo.input.shape[demo.input.layout.indexOf(axis)]);

const downloads = new Downloads();
const runtimes = grouped(demo.runtimes).map((entries) => new Runtime(entries, demo.output, downloads, update));
const count = demo.labels?.length || demo.output.shape.slice(1).reduce((product, size) => product * (size ?? 1), 1);
const model = { labels: demo.labels ?? [], classifies, count };
const cards = runtimes.map((runtime) => new Card(runtime, model, (backend) => choose(runtime, backend)));
const turns = new Turns(runtimes, { isDrawing: () => pad.isPressed, changed: update });

async function fetchJson(url) {
    try {
        const response = await fetch(url);
        if (!response.ok) {
            throw new Error(`${url.pathname}: ${response.status} ${response.statusText}`);
        }
        return await response.json();
    } catch (error) {
        root.dataset.state = 'failed';
        part('headline').textContent = 'This page cannot read its demo.json';
        part('rest').textContent = `${error.message}.`;
        throw error;
    }
}

// The entries of each runtime together, in their order.
function grouped(entries) {
    return [...new Set(entries.map(({ runtime }) => runtime))].map((name) => entries.filter(({ runtime }) => runtime === name));
}

// --- what is asked ---

function ask(image) {
    given += 1;
    turns.ask(image);
    root.dataset.state = turns.state;
    showSeen(image);
    complain('');
    for (const button of part('samples').children) {
        button.setAttribute('aria-pressed', String(image?.sample?.button === button));
    }
    part('invite').hidden = image !== null || !pad.isEmpty;
    part('clear').disabled = image === null;
    part('undo').disabled = pad.isEmpty;
    update();
}

function takeInk() {
    const pixels = inkImage(pad.strokes, { height, width }, style);
    ask(pixels && { pixels, operations: ofSample, kind: 'ink' });
}

function takeSample(sample) {
    pad.show(sample.picture);
    ask({ pixels: sample.pixels, operations: ofSample, kind: 'sample', sample });
}

async function takeFile(file) {
    const own = ++given;
    try {
        const pixels = await readPicture(file);
        const seen = modelPixels(pixels, demo.input, operations);
        if (seen.height !== height || seen.width !== width) {
            throw new Error(`The image has ${pixels.width} × ${pixels.height} pixels; the model takes ${width} × ${height}.`);
        }
        const picture = await createImageBitmap(asImageData(pixels));
        if (own === given) {
            pad.show(picture);
            ask({ pixels, operations, kind: 'picture' });
        }
    } catch (error) {
        if (own === given) {
            complain(error.message);
        }
    }
}

function showSeen(image) {
    const canvas = part('seen');
    const context = canvas.getContext('2d');
    if (image === null) {
        context.clearRect(0, 0, canvas.width, canvas.height);
        return;
    }
    const steps = completed(image.operations, demo.input);
    const isBGR = steps.some(({ mode }) => mode === 'BGR');
    context.putImageData(asImageData(modelPixels(image.pixels, demo.input, image.operations), isBGR), 0, 0);
}

function choose(runtime, backend) {
    runtime.choose(backend);
    turns.load();
}

// --- what is shown ---

// Once a frame, however much has changed.
function update() {
    if (!isUpdateDue) {
        isUpdateDue = true;
        nextFrame().then(() => {
            isUpdateDue = false;
            show();
        });
    }
}

function show() {
    const { headline, rest, detail, agree, odd } = conclusion();
    cards.forEach((card, i) => card.update(turns.image !== null, odd.includes(runtimes[i].title)));
    part('headline').textContent = headline;
    part('rest').textContent = rest;
    part('detail').textContent = detail;
    part('verdict').className = agree === null ? '' : agree ? 'agree' : 'differ';
    root.dataset.state = turns.state;
    root.dataset.agree = agree === null ? '' : String(agree);
    if (root.dataset.state === 'answered' || root.dataset.state === 'ready') {
        say([`${headline}.`, rest, detail].filter(Boolean).join(' '));
    }
}

// What all say of the present image; while some have not answered it yet, what was said before.
function conclusion() {
    const live = runtimes.filter(({ isLive }) => isLive);
    const [failed, absent] = ['failed', 'unavailable'].map((end) => runtimes.filter(({ state }) => state === end).map(({ title }) => title));
    if (turns.image === null || (live.length === 0 && runtimes.some(({ isSettled }) => !isSettled))) {
        lastConclusion = null;
        return { rest: '', ...invitation(live.length, failed.length + absent.length), agree: null, odd: [] };
    }
    if (live.some((runtime) => runtime.answered !== turns.serial)) {
        return lastConclusion ?? { headline: 'Reading …', rest: '', detail: '', agree: null, odd: [] };
    }
    const answers = live.map(({ title, values }) => ({ title, values, label: classifies ? labelOf(largest(values, 1)[0]) : '' }));
    const { sample } = turns.image;
    const apart = distances(answers.map(({ values }) => values), sample?.y, source, classifies ? 'Probabilities' : 'Numbers');
    const label = sample?.label ? `Labelled ${sample.label}. ` : '';
    const { aside, ...found } = conclude(answers, { failed, absent }, classifies);
    lastConclusion = { ...found, detail: [label + apart, aside].filter(Boolean).join(' ') };
    return lastConclusion;
}

const labelOf = (k) => model.labels[k] ?? `class ${k}`;

const isOfDigits = () => model.labels.length > 0 && model.labels.every((label) => /^\d$/.test(label));

function invitation(ready, ended) {
    const waiting = runtimes.length - ready - ended;
    const headline = demo.drawable ? `Draw ${isOfDigits() ? 'a digit' : 'something'}` : 'Choose an image';
    if (waiting) {
        return { headline, detail: `${ready} of ${runtimes.length} runtimes ready; ${waiting === 1 ? 'one is' : `${waiting} are`} loading.` };
    }
    if (ready === 0) {
        return { headline: 'No runtime of this bundle runs here', detail: 'Each card says why.' };
    }
    return { headline, detail: ready === 1 ? 'One runtime is ready to answer.' : `${ready} runtimes are ready to answer.` };
}

// To those who hear the page.
function say(text) {
    if (text !== lastSaid) {
        lastSaid = text;
        part('spoken').textContent = text;
    }
}

function complain(text) {
    part('complaint').textContent = text;
    part('complaint').hidden = text === '';
}

// --- the page ---

// Those that came; a sample that is not there has no button.
async function addSamples() {
    const known = await Promise.all((demo.samples ?? []).slice(0, SAMPLES).map(addSample));
    return known.filter((sample) => sample !== null);
}

// Fetched once, for the button and for the model.
async function addSample(sample) {
    const picture = make('canvas', { width, height });
    const button = make('button', { type: 'button', title: sample.label ? `A sample labelled ${sample.label}` : 'A sample' }, picture);
    button.setAttribute('aria-label', button.title);
    button.setAttribute('aria-pressed', 'false');
    part('samples').append(button);
    try {
        const pixels = await readPicture(await (await fetch(new URL(sample.image, document.baseURI))).blob());
        picture.getContext('2d').putImageData(asImageData(pixels), 0, 0);
        button.addEventListener('click', () => takeSample({ ...sample, pixels, picture, button }));
        return { pixels };
    } catch {
        button.remove();
        return null;
    }
}

// "" where each has several.
function whyOneThread() {
    if (crossOriginIsolated) {
        return '';
    }
    const why = isSecureContext ? 'the host of this page does not send the headers COOP and COEP' : 'more need https, or localhost';
    return `Each runtime has one thread: ${why}.`;
}

function layOut() {
    document.title = `${demo.model}: ${runtimes.length} web runtimes side by side`;
    part('model').textContent = demo.model;
    part('about').textContent = `From ${source}. Everything runs in this browser; no image leaves it.`;
    Object.assign(part('seen'), { width, height, title: `${width} × ${height} pixels, ${channels === 1 ? 'grey' : 'in colour'}` });
    root.classList.toggle('drawable', Boolean(demo.drawable));
    root.classList.toggle('photographs', !demo.drawable);
    part('invite').textContent = demo.drawable ? 'Draw here' : 'Drop, paste or open an image';
    part('keys').hidden = !demo.drawable;
    part('undo').hidden = !demo.drawable;
    part('threads').textContent = whyOneThread();
    part('hint').textContent = demo.hint ?? '';
    part('hint').hidden = !demo.hint;
    part('given').classList.toggle('alone', !demo.samples?.length);
    root.classList.toggle('numbers', !classifies);
    root.classList.toggle('words', classifies && Array.from({ length: count }, (_, k) => labelOf(k)).some((label) => label.length > 2));
    part('cards').append(...cards.map(({ element }) => element));
    part('undo').addEventListener('click', () => pad.undo());
    part('clear').addEventListener('click', () => pad.clear());
    if (!demo.drawable) {
        pad.disable();
        part('pad').setAttribute('role', 'img');
        part('pad').setAttribute('aria-label', 'The image');
        part('pad').addEventListener('click', () => part('file').click());
    }
    listenForFiles({ opener: part('open'), input: part('file'), take: takeFile });
}

window.demoState = () => ({
    ...conclusion(),
    state: turns.state,
    input: turns.image && { kind: turns.image.kind, serial: turns.serial },
    runtimes: runtimes.map((runtime) => {
        const top1 = runtime.values && classifies ? largest(runtime.values, 1)[0] : null;
        return {
            runtime: runtime.entries[0].runtime, backend: runtime.backend, state: runtime.state, message: runtime.message,
            top1, label: top1 === null ? null : labelOf(top1), probability: top1 === null ? null : runtime.values[top1],
            values: runtime.values && [...runtime.values], latencyMs: runtime.latencyMs, runs: runtime.runs,
            loadMs: runtime.loadMs, firstMs: runtime.firstMs, emulated: runtime.emulated, proof: runtime.proof, threads: runtime.threads,
        };
    }),
});

// With what was drawn by now.
function answerInk() {
    if (!pad.isEmpty) {
        takeInk();
    }
}

layOut();
isLaidOut = true;
update();
answerInk();
turns.load();
const samples = await addSamples();
style = demo.drawable ? inkStyle(samples.map(({ pixels }) => modelPixels(pixels, demo.input, ofSample))) : undefined;
answerInk();
