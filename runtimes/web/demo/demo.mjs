// The demo page: one image, every web runtime of the bundle.
//
// demo.json beside the page says what there is (runtimes/demo.py writes it). Runtimes load one after another; those that
// are ready answer in turn, and are timed in turn once nobody draws and nothing loads, so that none disturbs another.
//
// For tests, <html> has data-state: "loading" (runtimes), "ready" (no image yet), "running", "answered" (every runtime that
// runs has answered the present image and was timed on it); and data-agree. window.demoState() has everything.

import { completed, modelPixels } from '../preprocess.mjs';
import { conclude, distances, isClassifier, largest } from './answer.mjs';
import { Card, make } from './card.mjs';
import { inkImage, inkStyle } from './ink.mjs';
import { Pad } from './pad.mjs';
import { asImageData, readPicture } from './pictures.mjs';
import { Downloads, nextFrame, nextTask, Runtime } from './runtime.mjs';

// While a pen moves, answers are this far apart, so that the line keeps up with it.
const DRAWING_MS = 90;
// So long after the last change runtimes are timed.
const QUIET_MS = 350;
const SAMPLES = 10;
const FRAMEWORKS = { torch: 'PyTorch', keras: 'Keras', onnx: 'ONNX', tensorflow: 'TensorFlow' };

const root = document.documentElement;
const part = (id) => document.getElementById(id);

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
const pad = new Pad(part('pad'), { changed: takeInk, said: say });

// What is asked: {pixels, operations, sample, kind}, or null; `serial` counts its changes.
let image = null;
let serial = 0;
let changedAt = 0;
let style;
let isRunning = false;
let isLoading = false;
let lastSaid = '';

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

function ask(asked) {
    image = asked;
    serial += 1;
    changedAt = performance.now();
    showSeen();
    for (const button of part('samples').children) {
        button.setAttribute('aria-pressed', String(asked?.sample?.button === button));
    }
    part('invite').hidden = asked !== null || !pad.isEmpty;
    part('clear').disabled = asked === null;
    part('undo').disabled = pad.isEmpty;
    update();
    answerAll();
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
    try {
        const pixels = await readPicture(file);
        const seen = modelPixels(pixels, demo.input, operations);
        if (seen.height !== height || seen.width !== width) {
            throw new Error(`The image has ${pixels.width} × ${pixels.height} pixels; the model takes ${width} × ${height}.`);
        }
        pad.show(await createImageBitmap(asImageData(pixels)));
        ask({ pixels, operations, kind: 'picture' });
        complain('');
    } catch (error) {
        complain(error.message);
    }
}

function showSeen() {
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

// --- who answers ---

async function loadAll() {
    if (isLoading) {
        return;
    }
    isLoading = true;
    for (let next; (next = runtimes.find(({ state }) => state === 'waiting')); ) {
        await next.load();
        answerAll();
    }
    isLoading = false;
    update();
    answerAll();
}

function choose(runtime, backend) {
    runtime.choose(backend);
    loadAll();
}

// Until every runtime that runs has answered the latest image and was timed on it.
async function answerAll() {
    if (isRunning) {
        return;
    }
    isRunning = true;
    for (;;) {
        const behind = image && runtimes.find((runtime) => runtime.isLive && runtime.answered !== serial);
        const untimed = image && !isLoading && runtimes.find((runtime) => runtime.isLive && runtime.measured !== serial);
        if (behind) {
            await behind.answer(image, serial);
            await (pad.isPressed ? pause() : nextTask());
        } else if (untimed && isQuiet()) {
            const timed = serial;
            await untimed.measure(image, timed, () => timed === serial && !pad.isPressed);
        } else if (untimed) {
            await new Promise((resolve) => setTimeout(resolve, 50));
        } else {
            break;
        }
    }
    isRunning = false;
    update();
}

// When the last of them has answered a moving pen.
async function pause() {
    if (runtimes.every((runtime) => !runtime.isLive || runtime.answered === serial)) {
        await new Promise((resolve) => setTimeout(resolve, DRAWING_MS));
    }
    await nextFrame();
}

const isQuiet = () => !pad.isPressed && performance.now() - changedAt > QUIET_MS;

// --- what is shown ---

let isUpdateDue = false;

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
    cards.forEach((card, i) => card.update(image !== null, odd.includes(runtimes[i].title)));
    part('headline').textContent = headline;
    part('rest').textContent = rest;
    part('detail').textContent = detail;
    part('verdict').className = agree === null ? '' : agree ? 'agree' : 'differ';
    root.dataset.state = state();
    root.dataset.agree = agree === null ? '' : String(agree);
    if (root.dataset.state === 'answered' || root.dataset.state === 'ready') {
        say([`${headline}.`, rest, detail].filter(Boolean).join(' '));
    }
}

function state() {
    const live = runtimes.filter(({ isLive }) => isLive);
    if (isLoading || runtimes.some(({ isSettled }) => !isSettled)) {
        return 'loading';
    }
    if (image === null) {
        return 'ready';
    }
    return live.every((runtime) => runtime.answered === serial && runtime.measured === serial) ? 'answered' : 'running';
}

let lastConclusion = null;

// What all say of the present image; while some have not answered it yet, what was said before.
function conclusion() {
    const live = runtimes.filter(({ isLive }) => isLive);
    const absent = runtimes.filter(({ isSettled, isLive }) => isSettled && !isLive).map(({ title }) => title);
    if (image === null || (live.length === 0 && runtimes.some(({ isSettled }) => !isSettled))) {
        lastConclusion = null;
        return { rest: '', ...invitation(live.length, absent), agree: null, odd: [] };
    }
    if (live.some((runtime) => runtime.answered !== serial)) {
        return lastConclusion ?? { headline: 'Reading …', rest: '', detail: '', agree: null, odd: [] };
    }
    const answers = live.map(({ title, values }) => ({ title, values, label: classifies ? labelOf(largest(values, 1)[0]) : '' }));
    const sample = image.sample;
    const apart = distances(answers.map(({ values }) => values), sample?.y, source, classifies ? 'Probabilities' : 'Numbers');
    const label = sample?.label ? `Labelled ${sample.label}. ` : '';
    lastConclusion = { ...conclude(answers, absent, classifies), detail: label + apart };
    return lastConclusion;
}

const labelOf = (k) => model.labels[k] ?? `class ${k}`;

function invitation(ready, absent) {
    const waiting = runtimes.length - ready - absent.length;
    const headline = demo.drawable ? `Draw ${model.labels.every((label) => /^\d$/.test(label)) ? 'a digit' : 'something'}` : 'Choose an image';
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

// One after another, so that they stand in their order; each is fetched once, for the button and for the model.
async function addSamples() {
    for (const sample of (demo.samples ?? []).slice(0, SAMPLES)) {
        const canvas = make('canvas', { width, height });
        const button = make('button', { type: 'button', title: sample.label ? `A sample labelled ${sample.label}` : 'A sample' }, canvas);
        button.setAttribute('aria-label', button.title);
        button.setAttribute('aria-pressed', 'false');
        part('samples').append(button);
        try {
            const pixels = await readPicture(await (await fetch(new URL(sample.image, document.baseURI))).blob());
            canvas.getContext('2d').putImageData(asImageData(pixels), 0, 0);
            const known = { ...sample, pixels, picture: canvas, button };
            button.addEventListener('click', () => takeSample(known));
            samples.push(known);
        } catch {
            button.remove();
        }
    }
}

const samples = [];

function takeImages() {
    const chooser = part('file');
    part('open').addEventListener('click', () => chooser.click());
    chooser.addEventListener('change', () => {
        if (chooser.files.length) {
            takeFile(chooser.files[0]);
        }
        chooser.value = '';
    });
    document.addEventListener('paste', ({ clipboardData }) => {
        const file = [...clipboardData.files].find(({ type }) => type.startsWith('image/'));
        if (file) {
            takeFile(file);
        }
    });
    document.addEventListener('dragover', (event) => {
        event.preventDefault();
        root.classList.add('dragging');
    });
    document.addEventListener('dragleave', ({ relatedTarget }) => root.classList.toggle('dragging', relatedTarget !== null));
    document.addEventListener('drop', (event) => {
        event.preventDefault();
        root.classList.remove('dragging');
        if (event.dataTransfer.files.length) {
            takeFile(event.dataTransfer.files[0]);
        }
    });
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
    part('threads').hidden = crossOriginIsolated;
    part('hint').textContent = demo.hint ?? '';
    part('hint').hidden = !demo.hint;
    part('given').classList.toggle('alone', !demo.samples?.length);
    root.classList.toggle('numbers', !classifies);
    root.classList.toggle('words', classifies && Array.from({ length: count }, (_, k) => labelOf(k)).some((label) => label.length > 2));
    part('cards').append(...cards.map(({ element }) => element));
    part('undo').addEventListener('click', () => pad.undo());
    part('clear').addEventListener('click', () => pad.clear());
    if (demo.drawable) {
        pad.enable();
    } else {
        part('pad').setAttribute('role', 'img');
        part('pad').setAttribute('aria-label', 'The image');
        part('pad').addEventListener('click', () => part('file').click());
    }
    takeImages();
}

window.demoState = () => ({
    ...conclusion(),
    state: state(),
    input: image && { kind: image.kind, serial },
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

layOut();
update();
await addSamples();
style = demo.drawable ? inkStyle(samples.map(({ pixels }) => modelPixels(pixels, demo.input, ofSample))) : undefined;
loadAll();
