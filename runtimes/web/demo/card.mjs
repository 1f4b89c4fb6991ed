// The card of one runtime: what it says, how sure it is, how long it takes, and where it really ran.

import { duration, largest, megabytes, percent, small } from './answer.mjs';
import { lack } from './runtime.mjs';

// A backend's name, and what a narrow switch calls it.
const BACKENDS = { wasm: 'WebAssembly', js: 'JavaScript', cpu: 'JavaScript', webgl: 'WebGL', webgpu: 'WebGPU' };
const SHORT = { wasm: 'Wasm', js: 'JS', cpu: 'JS' };

// So many classes are all shown, in their order; of more, the likeliest.
const ALL_CLASSES = 12;
const LIKELIEST = 6;
const NUMBERS = 10;
// Shares that are told as 0.0 %.
const FAINT = 5e-4;

export class Card {
    #runtime;
    #model;
    #rows;
    #parts;

    // `model` is {labels, classifies, count}: `count` values in an answer. `chosen(backend)` is called when a person switches.
    constructor(runtime, model, chosen) {
        this.#runtime = runtime;
        this.#model = model;
        this.#rows = Array.from({ length: this.#rowCount }, () => row());
        this.#parts = {
            version: make('p', { className: 'version', textContent: runtime.entries[0].version ?? '' }),
            status: make('p', { className: 'status' }),
            label: make('strong'),
            sure: make('span'),
            note: make('p', { className: 'note', hidden: true }),
            run: make('dd'),
            first: make('dd'),
            load: make('dd'),
        };
        this.element = this.#build(chosen);
        this.update(null);
    }

    get #rowCount() {
        const { classifies, count } = this.#model;
        return classifies ? (count <= ALL_CLASSES ? count : LIKELIEST) : Math.min(count, NUMBERS);
    }

    #build(chosen) {
        const { version, status, label, sure, note, run, first, load } = this.#parts;
        const id = `card-${this.#runtime.entries[0].runtime}`;
        const term = (name, value) => make('div', {}, make('dt', { textContent: name }), value);
        const hasChoice = this.#runtime.entries.length > 1 && this.#runtime.entries.some((entry) => !lack(entry));
        const { classifies, count } = this.#model;
        const caption = classifies
            ? make('span', { className: 'unseen', textContent: `What ${this.#runtime.title} answers` })
            : `The first ${this.#rows.length} of ${count} numbers`;
        const card = make('article', { className: 'card' },
            make('header', {},
                make('div', {}, make('h2', { id, textContent: this.#runtime.title }), version, status),
                make('p', { className: 'says' }, label, sure)),
            make('div', { className: 'switch' }, hasChoice ? this.#switch(chosen) : ''),
            make('div', { className: 'answer' },
                make('table', {},
                    make('caption', {}, caption),
                    make('tbody', {}, ...this.#rows.map(({ element }) => element))),
                note),
            make('dl', {}, term('Each run', run), term('First run', first), term('Load', load)),
            make('div', { className: 'progress' }));
        card.setAttribute('aria-labelledby', id);
        card.dataset.runtime = this.#runtime.entries[0].runtime;
        return card;
    }

    #switch(chosen) {
        const group = `backend-${this.#runtime.entries[0].runtime}`;
        const choices = this.#runtime.entries.map(({ backend, reason }) => {
            const input = make('input', { type: 'radio', name: group, value: backend, checked: backend === this.#runtime.backend });
            input.addEventListener('change', () => chosen(backend));
            const name = BACKENDS[backend] ?? backend;
            return make('label', { title: reason || name }, input, make('span', { textContent: SHORT[backend] ?? name }));
        });
        const legend = make('legend', { className: 'unseen', textContent: `Backend of ${this.#runtime.title}` });
        return make('fieldset', {}, legend, ...choices);
    }

    // Show the runtime as it is; `isOdd` when it says something else than most. Without an image there is no answer.
    update(hasImage, isOdd = false) {
        const runtime = this.#runtime;
        const values = hasImage ? runtime.values : null;
        const { status, label, sure, note, run, first, load } = this.#parts;
        const isOff = runtime.state === 'unavailable' || runtime.state === 'failed';
        status.textContent = said(runtime);
        note.hidden = !isOff;
        note.textContent = isOff ? sentence(runtime.message) : '';
        const [best] = values && this.#model.classifies ? largest(values, 1) : [];
        label.textContent = best === undefined ? '' : this.#label(best);
        sure.textContent = best === undefined ? '' : percent(values[best]);
        this.#fill(values);
        const [each, once, loading] = [runtime.latencyMs, runtime.firstMs, runtime.loadMs];
        run.textContent = each === null ? '–' : duration(each);
        first.textContent = once === null ? '–' : duration(once);
        load.textContent = loading === null ? '–' : duration(loading);
        this.element.classList.toggle('odd', isOdd);
        this.element.style.setProperty('--progress', progress(runtime));
        Object.assign(this.element.dataset, {
            backend: runtime.backend, state: runtime.state, answered: values ? runtime.answered : 0,
            top1: best ?? '', label: best === undefined ? '' : this.#label(best), latencyMs: each ?? '', emulated: runtime.emulated,
        });
    }

    #label(k) {
        return this.#model.labels[k] ?? `class ${k}`;
    }

    #fill(values) {
        const { classifies, count } = this.#model;
        const inOrder = !classifies || count <= ALL_CLASSES;
        const places = inOrder ? this.#rows.map((_, i) => i) : largest(values ?? new Float64Array(count), this.#rows.length);
        const scale = classifies || !values ? 1 : values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
        const best = values && classifies ? largest(values, 1)[0] : -1;
        this.#rows.forEach((row, i) => {
            const place = places[i];
            const value = values?.[place] ?? 0;
            row.head.textContent = !classifies ? `[${place}]` : values || inOrder ? this.#label(place) : '';
            row.bar.style.setProperty('--share', Math.abs(value) / scale);
            row.number.textContent = values ? (classifies ? percent(value) : signed(value)) : '';
            row.element.classList.toggle('best', place === best);
            row.element.classList.toggle('faint', classifies && value < FAINT);
        });
    }
}

// One line about where a runtime is.
function said({ state, backend, threads, emulated, loadedBytes, totalBytes }) {
    const name = BACKENDS[backend] ?? backend;
    switch (state) {
        case 'waiting':
            return 'waits for its turn';
        case 'loading':
            return totalBytes ? `loading ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB` : `loading ${megabytes(loadedBytes)} MB`;
        case 'starting':
            return `starting on ${name}`;
        case 'ready':
            return `${name}${emulated ? `, by ${emulated}: a GPU in software` : backend === 'wasm' ? `, ${threads} thread${threads === 1 ? '' : 's'}` : ''}`;
        case 'unavailable':
            return `${name}: not here`;
        default:
            return `${name}: failed`;
    }
}

function progress({ state, loadedBytes, totalBytes }) {
    return state === 'loading' && totalBytes ? loadedBytes / totalBytes : state === 'starting' ? 1 : 0;
}

// A message that begins with a backend calls it as the switch does.
const sentence = (text) => text.replace(/^\w+/, (word) => BACKENDS[word] ?? word.charAt(0).toUpperCase() + word.slice(1));

const signed = (value) => (value < 0 ? '−' : '') + small(Math.abs(value));

function row() {
    const [head, bar, number] = [make('th', { scope: 'row' }), make('i'), make('td', { className: 'number' })];
    return { head, bar, number, element: make('tr', {}, head, make('td', { className: 'track' }, bar), number) };
}

export function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children.filter((child) => child !== ''));
    return element;
}
