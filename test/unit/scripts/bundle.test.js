import { describe, expect, it } from 'vitest';
import { stripShader } from '../../../scripts/lib/bundle.js';
import { readShaders } from '../../support/shader_files.ts';

describe('stripShader', () => {
  it('takes comments away, nothing else', () => {
    const source = '// a\n//!include lib/b.wgsl\nconst A = 1; // c\n  let x = 4 / 2;\n';
    expect(stripShader(source)).toBe('\n//!include lib/b.wgsl\nconst A = 1;\n  let x = 4 / 2;\n');
  });

  it('moves no line of any shader, so that messages tell the right one', () => {
    const shaders = Object.values({ ...readShaders(), ...readShaders('lib') });
    expect(shaders.length).toBeGreaterThan(20);
    for (const source of shaders) {
      // The other kind of comment may span lines.
      expect(source).not.toContain('/*');
      const lines = stripShader(source).split('\n');
      const expected = source
        .split('\n')
        .map((line) => (line.startsWith('//!') ? line : (line.split('//')[0] ?? '').trimEnd()));
      expect(lines.map((line) => line.trimEnd())).toEqual(expected);
    }
  });
});
