export type Theme = 'light' | 'auto' | 'dark';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

/** One path component, as a link needs it. `/upload` is the page for uploads, so a file of that name is spelt otherwise. */
export function encodePath(name: string): string {
  if (name === 'upload') return '%75pload';
  return encodeURIComponent(name).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const COLOR_SCHEMES: Readonly<Record<Theme, string>> = { light: 'light', auto: 'light dark', dark: 'dark' };

/** What uploadserver puts into every page's head: readable on a telephone, and in the theme that was asked for. */
export function themeMeta(theme: Theme): string {
  return (
    '<meta name="viewport" content="width=device-width" />\n' +
    `<meta name="color-scheme" content="${COLOR_SCHEMES[theme]}">`
  );
}

/** A whole page. `title` is text; `head` and `body` are HTML. */
export function page({ title, head, body }: { title: string; head: string; body: string }): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
${head}
</head>
<body>
${body}
</body>
</html>
`;
}
