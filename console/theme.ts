// Loaded before the first paint, so that a chosen theme never flashes. Kept apart from everything else.
const chosen = localStorage.getItem('theme')
if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
