import type { JSX } from 'preact';
import { Icon, type IconName } from './icons.tsx';
import { type Theme, theme, THEMES } from './ui.ts';

const LOOKS: Readonly<Record<Theme, { readonly name: string; readonly icon: IconName }>> = {
  system: { name: 'Theme of the system', icon: 'screen' },
  light: { name: 'Light theme', icon: 'sun' },
  dark: { name: 'Dark theme', icon: 'moon' },
};

/** Chooses between light and dark. */
export function ThemeSwitch(): JSX.Element {
  return (
    <div class="segments" role="radiogroup" aria-label="Theme">
      {THEMES.map((choice) => (
        <label key={choice} title={LOOKS[choice].name}>
          <input
            class="visually-hidden"
            type="radio"
            name="theme"
            aria-label={LOOKS[choice].name}
            checked={theme.value === choice}
            onChange={() => {
              theme.value = choice;
            }}
          />
          <Icon name={LOOKS[choice].icon} />
        </label>
      ))}
    </div>
  );
}
