import { expect, it } from 'vitest';
import { callInPage } from '../../src/cli/browser/launch.ts';
import type { compare, Outcome } from './pages/markdown.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

const BLANK = '/test/browser/support/blank.html';
const MODULE = '/test/browser/pages/markdown.ts';

/** What a reply may try; each calls `pwned()` or fetches from evil.example if it gets through. */
const ATTACKS = [
  '<script>pwned()</script>',
  '<img src=x onerror="pwned()">',
  '<svg onload="pwned()"><animate onbegin="pwned()" attributeName="x"></svg>',
  '<a href="javascript:pwned()" onmouseover="pwned()">x</a>',
  '[x](javascript:pwned())',
  '[x](JaVaScRiPt&colon;pwned())',
  '[x](data:text/html,<script>pwned()</script>)',
  '[x](vbscript:pwned())',
  '![x](https://evil.example/leak.png)',
  '![x](x" onerror="pwned())',
  '![x"onerror="pwned()](https://evil.example/leak.png "a"onload="pwned()")',
  '<iframe src="https://evil.example"></iframe><object data="https://evil.example"></object>',
  '<style>@import "https://evil.example/x.css"</style><link rel=stylesheet href=https://evil.example>',
  '<p style="background:url(https://evil.example)" class="app dialog" id="draft">x</p>',
  '<form action="https://evil.example"><input autofocus onfocus="pwned()"></form>',
  '<math><mtext><table><mglyph><style><img src=x onerror="pwned()"></style></mglyph></table></mtext></math>',
  '<noscript><p title="</noscript><img src=x onerror=pwned()>"></noscript>',
  '```"><img src=x onerror=pwned()>\n</code></pre><script>pwned()</script>\n```',
  '`<img src=x onerror=pwned()>`',
  '<br onclick="pwned()"><kbd onmouseover="pwned()">x</kbd>',
  '| <img src=x onerror=pwned()> |\n|---|\n| <script>pwned()</script> |',
  '<details open ontoggle="pwned()"><summary>x</summary></details>',
];

const SAMPLE = `# A title

Some *text* with **marks**, \`code\`, ~~no~~ and <b>HTML</b>.
A second line.

- one
- two

  more of two
  1. inner

3. three

> quoted
lazily
- and a list

Not yet a title
---

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`js
const x = \`\${1}\`;

- not a list
\`\`\`

    indented

[x] https://a.example/path and [link](https://a.example "t")
- [ ] open
- [x] done
* * *
last\\
line
===
`;

describeInBrowsers('Markdown', (open) => {
  it('runs and fetches nothing that a reply contains', async () => {
    const fetched: string[] = [];
    const page = await open(BLANK, async (page) => {
      page.on('request', (request) => fetched.push(request.url()));
    });
    const outcomes = await callInPage<readonly Outcome[]>(page, MODULE, 'show', ATTACKS);
    expect(outcomes).toHaveLength(ATTACKS.length);
    for (const [i, { html, tags, attributes, hasRun }] of outcomes.entries()) {
      const where = `${ATTACKS[i]} became ${html}`;
      expect(hasRun, where).toBe(false);
      const harmless = 'p a code pre table thead tbody tr th td br kbd em strong';
      expect(harmless.split(' '), where).toEqual(expect.arrayContaining([...tags]));
      for (const attribute of attributes) {
        expect(attribute, where).toMatch(
          /^(?:href=https?:|target=_blank|rel=noopener noreferrer|title=|class=hljs(?: language-|$))/,
        );
      }
    }
    expect(fetched.filter((url) => url.includes('evil.example'))).toEqual([]);
    // Not even a link is left of a script, and an image is one.
    expect(outcomes[4]?.html).not.toContain('href');
    expect(outcomes[8]?.html).toContain('href="https://evil.example/leak.png"');
    expect(outcomes[0]?.html).toContain('&lt;script&gt;');
  });

  it('is the same in pieces as in one, with little rendered twice', async () => {
    const page = await open(BLANK);
    const compared = await callInPage<ReturnType<typeof compare>>(page, MODULE, 'compare', SAMPLE);
    expect(compared.differences).toEqual([]);
    // Two blocks for each character; rendering all of them each time would be some ten thousand.
    expect(compared.rendered).toBeLessThan(SAMPLE.length * 4);
    const linked = `${SAMPLE}\n[x]: https://b.example\n\n[x]`;
    const defined = await callInPage<ReturnType<typeof compare>>(page, MODULE, 'compare', linked);
    expect(defined.differences).toEqual([]);
  });

  it('makes what it says', async () => {
    const page = await open(BLANK);
    const [outcome] = await callInPage<readonly Outcome[]>(page, MODULE, 'show', [SAMPLE]);
    expect(outcome?.html).toMatch(/<h3>A title<\/h3>[^]*<br>[^]*A second line/);
    expect(outcome?.html).toContain('&lt;b&gt;HTML&lt;/b&gt;');
    expect(outcome?.html).toContain('<td align="right">2</td>');
    expect(outcome?.html).toMatch(/☐ open[^]*☑ done/);
    expect(outcome?.html).toContain(
      '<a href="https://a.example" title="t" target="_blank" rel="noopener noreferrer">link</a>',
    );
    const code = '```ts\nconst x: number = 1;\n```\n\n```unknown\nx < y\n```';
    const html = await callInPage<string>(page, MODULE, 'highlighted', code);
    expect(html).toContain('<span class="hljs-keyword">const</span>');
    expect(html).toContain('x &lt; y');
  });
});
