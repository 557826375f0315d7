/** Whether a browser that is opened here would be seen. */
export function hasDisplay() {
  const { CI, SSH_CONNECTION, DISPLAY, WAYLAND_DISPLAY } = process.env;
  if (CI) return false;
  if (process.platform === 'linux') return Boolean(DISPLAY || WAYLAND_DISPLAY);
  return !SSH_CONNECTION;
}
