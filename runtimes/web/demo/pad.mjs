// A canvas to draw on: by pointer, or by arrow keys with a pen that Space puts down and lifts.
//
// Strokes are lists of points {x, y} from 0 to 1 in both directions. A picture can lie on the pad instead; the first stroke
// takes it away.

const PEN = 0.075;
const STEP = 1 / 28;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
    strokes = [];
    isPressed = false;

    #canvas;
    #context;
    #changed;
    #said;
    #picture = null;
    #cursor = { x: 0.5, y: 0.5 };
    #penDown = false;
    #isDue = false;
    #hasGrown = false;
    #byKeys = true;
    #listening = new AbortController();

    // `changed` is called after every change of the ink, `said` with what a person who sees no pen has to know.
    constructor(canvas, { changed, said }) {
        this.#canvas = canvas;
        this.#context = canvas.getContext('2d');
        this.#changed = changed;
        this.#said = said;
        new ResizeObserver(() => this.#fit()).observe(canvas);
        canvas.addEventListener('focus', () => this.#redraw());
        canvas.addEventListener('blur', () => this.#lift());
    }

    // Take strokes from now on.
    enable() {
        const [canvas, { signal }] = [this.#canvas, this.#listening];
        canvas.tabIndex = 0;
        canvas.addEventListener('pointerdown', (event) => this.#press(event), { signal });
        canvas.addEventListener('pointermove', (event) => this.#move(event), { signal });
        for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) {
            canvas.addEventListener(end, (event) => this.#release(event), { signal });
        }
        canvas.addEventListener('keydown', (event) => this.#key(event), { signal });
    }

    // Take none any more, and forget those there are.
    disable() {
        this.#listening.abort();
        this.#canvas.removeAttribute('tabindex');
        this.clear();
    }

    get isEmpty() {
        return this.strokes.length === 0;
    }

    clear() {
        this.#lift();
        this.strokes = [];
        this.#picture = null;
        this.#update();
    }

    undo() {
        this.#lift();
        if (this.isEmpty) {
            return;
        }
        this.strokes.pop();
        this.#update();
    }

    // Show a picture (anything that drawImage takes) in place of ink.
    show(picture) {
        this.#lift();
        this.strokes = [];
        this.#picture = picture;
        this.#redraw();
    }

    #press(event) {
        if (!event.isPrimary || event.button !== 0) {
            return;
        }
        this.#canvas.setPointerCapture(event.pointerId);
        this.#useKeys(false);
        this.#lift();
        this.isPressed = true;
        this.#begin(this.#place(event));
    }

    #move(event) {
        if (!this.isPressed || !event.isPrimary) {
            return;
        }
        const passed = event.getCoalescedEvents?.() ?? [];
        for (const each of passed.length ? passed : [event]) {
            this.#extend(this.#place(each));
        }
    }

    #release(event) {
        if (this.isPressed && event.isPrimary) {
            this.isPressed = false;
            this.#update();
        }
    }

    #place({ clientX, clientY }) {
        const box = this.#canvas.getBoundingClientRect();
        return { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
    }

    // Where the pen is matters to those who move it by keys.
    #useKeys(byKeys) {
        this.#byKeys = byKeys;
        this.#canvas.classList.toggle('pointed', !byKeys);
    }

    #key(event) {
        this.#useKeys(true);
        if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'z') {
            event.preventDefault();
            this.undo();
        } else if (event.ctrlKey || event.metaKey || event.altKey) {
            return;
        } else if (ARROWS[event.key]) {
            event.preventDefault();
            this.#step(...ARROWS[event.key].map((direction) => direction * STEP * (event.shiftKey ? 4 : 1)));
        } else if (event.key === ' ') {
            event.preventDefault();
            this.#toggle();
        } else if (event.key === 'Delete' || event.key === 'Backspace') {
            event.preventDefault();
            this.clear();
            this.#said('Cleared');
        } else if (event.key === 'Escape') {
            this.#lift();
        }
    }

    #step(dx, dy) {
        const within = (value) => Math.min(1, Math.max(0, value));
        this.#cursor = { x: within(this.#cursor.x + dx), y: within(this.#cursor.y + dy) };
        if (this.#penDown) {
            this.#extend(this.#cursor);
        } else {
            this.#redraw();
        }
    }

    #toggle() {
        if (this.#penDown) {
            this.#lift();
            return;
        }
        this.#penDown = true;
        this.#begin(this.#cursor);
        this.#said('Pen down');
    }

    #lift() {
        this.isPressed = false;
        if (this.#penDown) {
            this.#penDown = false;
            this.#said('Pen up');
        }
        this.#redraw();
    }

    #begin(point) {
        this.#picture = null;
        this.strokes.push([point]);
        this.#update();
    }

    // A line that grows is told of once a frame.
    #extend(point) {
        this.strokes.at(-1).push(point);
        this.#hasGrown = true;
        this.#redraw();
    }

    #update() {
        this.#hasGrown = false;
        this.#redraw();
        this.#changed();
    }

    #fit() {
        const side = Math.round(this.#canvas.clientWidth * Math.min(devicePixelRatio, 3));
        if (side && this.#canvas.width !== side) {
            this.#canvas.width = this.#canvas.height = side;
        }
        this.#redraw();
    }

    // Once a frame, however many events came.
    #redraw() {
        if (!this.#isDue) {
            this.#isDue = true;
            requestAnimationFrame(() => {
                this.#isDue = false;
                this.#draw();
                if (this.#hasGrown) {
                    this.#hasGrown = false;
                    this.#changed();
                }
            });
        }
    }

    #draw() {
        const [context, side] = [this.#context, this.#canvas.width];
        context.clearRect(0, 0, side, side);
        if (this.#picture) {
            this.#drawPicture(side);
        }
        Object.assign(context, { lineWidth: PEN * side, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
        for (const stroke of this.strokes) {
            context.stroke(smooth(stroke, side));
        }
        if (this.#byKeys && this.#canvas.matches(':focus-visible')) {
            this.#drawCursor(side);
        }
    }

    #drawPicture(side) {
        const { width, height } = this.#picture;
        const scale = side / Math.max(width, height);
        this.#context.imageSmoothingEnabled = scale < 2;
        this.#context.drawImage(
            this.#picture, (side - width * scale) / 2, (side - height * scale) / 2, width * scale, height * scale,
        );
    }

    #drawCursor(side) {
        const ring = new Path2D();
        ring.arc(this.#cursor.x * side, this.#cursor.y * side, (PEN / 2) * side, 0, 2 * Math.PI);
        Object.assign(this.#context, { lineWidth: side / 130, strokeStyle: this.#penDown ? '#ffb35c' : '#74adff' });
        this.#context.stroke(ring);
    }
}

// Through the middles between neighbours, each point a control point: no corners where the events were few.
function smooth(points, side) {
    const path = new Path2D();
    const scaled = points.map(({ x, y }) => [x * side, y * side]);
    path.moveTo(...scaled[0]);
    for (let i = 1; i < scaled.length - 1; i++) {
        const [[x, y], [nextX, nextY]] = [scaled[i], scaled[i + 1]];
        path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    }
    path.lineTo(...scaled.at(-1));
    return path;
}
