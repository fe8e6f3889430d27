// A script of its own before all else of the page: sends what the page will ask
// for first, so that the daemon answers while the browser reads the page.
import {sendEarly} from './ask.ts';
import {firstPaths} from './paths.ts';
import {parseRoute} from './route.ts';

// A report, which has its answers with it, is a file or states its own policy before this.
if (location.protocol.startsWith('http') && !document.querySelector('meta[http-equiv="Content-Security-Policy"]')) sendEarly(firstPaths(parseRoute(location.hash)));
