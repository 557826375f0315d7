import { describe, expect, it } from 'vitest';
import { findMirror } from '../../../scripts/lib/apt.js';

const SECURITY = 'deb https://mirror.test/security bookworm-security main';

describe('findMirror', () => {
  it('reads one-line entries', () => {
    const text = `# deb https://old.test bookworm main\n${SECURITY}\ndeb [arch=amd64 signed-by=/keys/a.gpg] https://mirror.test/debian bookworm main contrib\n`;
    expect(findMirror([{ name: 'sources.list', text }], 'bookworm')).toEqual({
      url: 'https://mirror.test/debian',
      signedBy: '/keys/a.gpg',
    });
  });

  it('reads stanzas', () => {
    const text = [
      'Types: deb\nURIs: https://mirror.test/security\nSuites: bookworm-security\nComponents: main',
      'Types: deb\n# a comment\nURIs: https://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /keys/b.gpg\n',
    ].join('\n\n');
    expect(findMirror([{ name: 'debian.sources', text }], 'bookworm')).toEqual({
      url: 'https://mirror.test/debian',
      signedBy: '/keys/b.gpg',
    });
  });

  it('goes on to the next file', () => {
    const files = [
      { name: 'other.sources', text: 'URIs: https://other.test\nSuites: nodistro\n' },
      { name: 'debian.list', text: 'deb https://mirror.test/debian bookworm main\n' },
    ];
    expect(findMirror(files, 'bookworm')).toEqual({
      url: 'https://mirror.test/debian',
      signedBy: undefined,
    });
  });

  it('finds none for another release', () => {
    expect(findMirror([{ name: 'a.list', text: `${SECURITY}\n` }], 'bookworm')).toBeUndefined();
  });
});
