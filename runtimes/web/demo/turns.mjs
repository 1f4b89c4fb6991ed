// Whose turn it is: runtimes load one after another; those that are ready answer the latest image in turn, and are timed in
// turn once nobody draws and nothing loads, so that none disturbs another.

import { nextFrame, nextTask } from './runtime.mjs';

// While a pen moves, rounds of answers are this far apart, so that the line keeps up with it.
const DRAWING_MS = 90;
// So long after the last change runtimes are timed.
const QUIET_MS = 350;

export class Turns {
    // The image that is asked of all: {pixels, operations, ...}, or null; `serial` counts its changes.
    image = null;
    serial = 0;

    #runtimes;
    #isDrawing;
    #changed;
    #changedAt = 0;
    #isLoading = false;
    #isRunning = false;

    // `isDrawing()` is asked, and `changed` called when the state is another one.
    constructor(runtimes, { isDrawing, changed }) {
        this.#runtimes = runtimes;
        this.#isDrawing = isDrawing;
        this.#changed = changed;
    }

    // "loading" (a runtime), "ready" (no image yet), "running", or "answered": every runtime that runs has answered the
    // present image and was timed on it.
    get state() {
        if (this.#isLoading || this.#runtimes.some(({ isSettled }) => !isSettled)) {
            return 'loading';
        }
        if (this.image === null) {
            return 'ready';
        }
        return this.#behind() || this.#untimed() ? 'running' : 'answered';
    }

    ask(image) {
        this.image = image;
        this.serial += 1;
        this.#changedAt = performance.now();
        this.#run();
    }

    // Load whoever waits.
    async load() {
        if (this.#isLoading) {
            return;
        }
        this.#isLoading = true;
        for (let next; (next = this.#runtimes.find(({ state }) => state === 'waiting')); ) {
            await next.load();
            this.#run();
        }
        this.#isLoading = false;
        this.#changed();
        this.#run();
    }

    #behind() {
        return this.#runtimes.find((runtime) => runtime.isLive && runtime.answered !== this.serial);
    }

    #untimed() {
        return this.#runtimes.find((runtime) => runtime.isLive && runtime.measured !== this.serial);
    }

    // One thing after the other, until nothing is left to do.
    async #run() {
        if (this.#isRunning) {
            return;
        }
        this.#isRunning = true;
        while (this.image && (this.#behind() || (this.#untimed() && !this.#isLoading))) {
            const behind = this.#behind();
            if (behind) {
                await behind.answer(this.image, this.serial);
                await (this.#isDrawing() ? this.#giveWay() : nextTask());
            } else if (this.#isDrawing() || performance.now() - this.#changedAt < QUIET_MS) {
                await pause(QUIET_MS / 8);
            } else {
                const timed = this.serial;
                await this.#untimed().measure(this.image, timed, () => timed === this.serial && !this.#isDrawing());
            }
        }
        this.#isRunning = false;
        this.#changed();
    }

    async #giveWay() {
        if (!this.#behind()) {
            await pause(DRAWING_MS);
        }
        await nextFrame();
    }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
