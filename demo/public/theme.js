// Before the first paint, so that a page in the chosen theme never flashes in the other one.
try {
  const theme = localStorage.getItem('quern.theme');
  if (theme !== null) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the theme of the system holds.
}
