import { createHash } from 'node:crypto';
import type { Context } from 'koa';
import { page, type Theme, themeMeta } from './html.ts';

/** Uploads the chosen files in one request and shows how far it is. Without script the form works all the same. */
const SCRIPT = `
const form = document.querySelector('form');
const line = document.getElementById('status');
const progress = document.querySelector('progress');
form.addEventListener('submit', (event) => {
  event.preventDefault();
  const input = form.elements['files'];
  if (input.files.length === 0) { line.textContent = 'Choose at least one file first.'; return; }
  const button = form.querySelector('button');
  const request = new XMLHttpRequest();
  const inKiB = (bytes) => Math.floor(bytes / 1024);
  const finish = (text) => { line.textContent = text; button.disabled = false; progress.hidden = true; };
  request.upload.addEventListener('progress', ({ loaded, total }) => {
    progress.max = total;
    progress.value = loaded;
    line.textContent = loaded === total ? 'Saving…'
      : Math.floor(100 * loaded / total) + '% [' + inKiB(loaded) + ' / ' + inKiB(total) + ' KiB]';
  });
  request.addEventListener('load', () => {
    let advice = '';
    try { advice = ' ' + (JSON.parse(request.responseText).advice ?? ''); } catch {}
    const done = request.status >= 200 && request.status < 300;
    finish((done ? 'Success: ' : 'Error: ') + request.statusText + advice);
    if (done) form.reset();
  });
  request.addEventListener('error', () => finish('Error: the connection broke. Nothing was stored; try again.'));
  request.addEventListener('timeout', () => finish('Error: it took longer than an hour.'));
  request.timeout = 60 * 60 * 1000;
  request.open('POST', 'upload');
  request.setRequestHeader('Accept', 'application/json');
  button.disabled = true;
  progress.hidden = false;
  request.send(new FormData(form));
});
`;

const SCRIPT_HASH = createHash('sha256').update(SCRIPT).digest('base64');

const BODY = `<h1>File upload</h1>
<form action="upload" method="POST" enctype="multipart/form-data">
<p><input name="files" type="file" multiple required></p>
<p><button type="submit">Upload</button></p>
</form>
<p><progress hidden></progress></p>
<p id="status" role="status"></p>
<p><a href="/">All files</a></p>
<script>${SCRIPT}</script>`;

/** GET of `/upload`. */
export function uploadPage(ctx: Context, theme: Theme): void {
  ctx.set('Cache-Control', 'no-cache');
  ctx.set(
    'Content-Security-Policy',
    `default-src 'none'; script-src 'sha256-${SCRIPT_HASH}'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'`,
  );
  ctx.body = page({ title: 'File Upload', head: themeMeta(theme), body: BODY });
  ctx.set('Content-Type', 'text/html; charset=utf-8');
}
