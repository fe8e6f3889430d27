// A script of its own before all else of the page: sends what the page will ask
// for first, so that the daemon answers while the browser reads the page.
import {sendEarly} from './ask.ts';
import {firstPaths} from './paths.ts';
import {parseRoute} from './route.ts';

// A report has its answers with it.
if (!document.getElementById('muster-data')) sendEarly(firstPaths(parseRoute(location.hash)));
