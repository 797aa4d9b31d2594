/** The live page. It holds no secrets: what it shows it asks the API for, with the tab's token. */
import { render } from 'preact';
import './style/base.css';
import './style/panels.css';
import './style/controls.css';
import './style/views.css';
import './style/narrow.css';
import { App } from './app.js';
import { applyTheme, storedTheme } from './hooks.js';

applyTheme(storedTheme());
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
