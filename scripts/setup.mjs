// npm run setup: installs the npm packages and builds the program.
import { build, installPackages } from './run.mjs';

installPackages();
build();
console.log('built: dist/cli.js');
