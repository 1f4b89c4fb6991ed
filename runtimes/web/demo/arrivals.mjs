// The ways by which an image file comes to the page: opened, pasted or dropped.

// `take` gets each file; `opener` and `input` are the button and the file input that open one.
export function listenForFiles({ opener, input, take }) {
    opener.addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
        takeFirst(input.files, take);
        input.value = '';
    });
    document.addEventListener('paste', ({ clipboardData }) => {
        takeFirst([...clipboardData.files].filter(({ type }) => type.startsWith('image/')), take);
    });
    const { classList } = document.documentElement;
    document.addEventListener('dragover', (event) => {
        event.preventDefault();
        classList.add('dragging');
    });
    document.addEventListener('dragleave', ({ relatedTarget }) => classList.toggle('dragging', relatedTarget !== null));
    document.addEventListener('drop', (event) => {
        event.preventDefault();
        classList.remove('dragging');
        takeFirst(event.dataTransfer.files, take);
    });
}

function takeFirst(files, take) {
    if (files.length) {
        take(files[0]);
    }
}
