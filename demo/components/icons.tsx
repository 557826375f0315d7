/** Drawn here, so that nothing is fetched and nothing moves when it arrives. @module */
import type { JSX } from 'preact';

/** Lines of each icon, in a box of 24 units. */
const PATHS = {
  sidebar: 'M4 5h16v14H4zM9.5 5v14',
  compose: 'M12 4H5v15h15v-7M10 14l1-3.5L18.5 3 21 5.5 13.5 13z',
  search: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14M16 16l5 5',
  more: 'M6 11.5v1M5.5 12h1M12 11.5v1M11.5 12h1M18 11.5v1M17.5 12h1',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  pencil: 'M4 20l1-4.5L16.5 4 20 7.5 8.5 19z',
  download: 'M12 4v11M7.5 11 12 15.5 16.5 11M4 20h16',
  upload: 'M12 15.5V4M7.5 8.5 12 4l4.5 4.5M4 20h16',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M4.5 12.5l5 5L19.5 7',
  redo: 'M20 12a8 8 0 1 1-2.5-5.8M20 3v4.5h-4.5',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  down: 'M5 9l7 7 7-7',
  send: 'M12 20V5M5.5 11.5 12 5l6.5 6.5',
  stop: 'M7 7h10v10H7z',
  sliders: 'M4 8h8M18 8h2M4 16h2M12 16h8M15 5.5v5M9 13.5v5',
  chip: 'M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  screen: 'M3 5h18v11H3zM9 20h6M12 16v4',
  close: 'M6 6l12 12M18 6 6 18',
  folder: 'M3 6h6l2 2.5h10V19H3z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7L12 17',
  clock: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 8v4.5l3 1.5',
  info: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 11.5V16M12 8.2v.1',
  warning: 'M12 4 2.5 20h19zM12 10v4.5M12 17.2v.1',
  gauge: 'M4.5 17.5a8.5 8.5 0 1 1 15 0M12 14l4-5M4.5 17.5h15',
  keyboard: 'M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M7 14h10',
} as const;

/** Name of an icon. */
export type IconName = keyof typeof PATHS;

/** An icon, which assistive technology passes over: the control names itself. */
export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The quern: two millstones and a handle. */
export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <ellipse class="stone-low" cx="15" cy="21" rx="13" ry="8" />
      <ellipse class="stone" cx="15" cy="16" rx="13" ry="8" />
      <ellipse class="eye" cx="15" cy="16" rx="3" ry="2" />
      <path class="handle" d="M23 15V4" />
    </svg>
  );
}
