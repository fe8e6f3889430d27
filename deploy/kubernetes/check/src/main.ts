// node out/main.js objects FILE…         validates what is in the files of YAML against the schemas; prints it as TypeScript
// node out/main.js rule FILE             prints the PrometheusRule of a file of rules
// node out/main.js values SCHEMA FILE…   validates files of YAML against a JSON schema
// Exit code 1, and a line for each problem on standard error, where something is not valid.

import { readFileSync } from 'node:fs';

import Ajv2020 from 'ajv/dist/2020';
import { parse, parseAllDocuments } from 'yaml';

import { kinds } from './kinds';

interface Object_ {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
}

let problems = 0;

function problem(text: string) {
  problems += 1;
  console.error(text.replaceAll('\n', ' '));
}

// As Kubernetes reads it: YAML 1.1, in which 0440 is an octal number.
function documents(file: string): Object_[] {
  const found = parseAllDocuments(readFileSync(file, 'utf8'), { version: '1.1', uniqueKeys: true });
  for (const document of found) {
    for (const error of document.errors) problem(`${file}: ${error.message}`);
  }
  return found.map((document) => document.toJS());
}

function objects(files: string[]) {
  const imports = new Map<string, string>();
  const literals: string[] = [];
  for (const file of files) {
    for (const object of documents(file)) {
      const name = `${object.apiVersion} ${object.kind}`;
      const kind = kinds.get(name);
      if (kind === undefined) {
        problem(`${file}: ${name} is not a kind that is known here`);
        continue;
      }
      try {
        kind.validate(structuredClone(object) as never);
      } catch (error) {
        problem(`${file}: ${object.kind} ${object.metadata.name}: ${(error as Error).message}`);
      }
      const alias = `${kind.type}${[...kinds.keys()].indexOf(name)}`;
      imports.set(alias, `import type { ${kind.type} as ${alias} } from '${kind.module}';`);
      literals.push(`// ${file}\n({ ${JSON.stringify(object, null, 1).slice(1)} satisfies ${alias});\n`);
    }
  }
  console.log([...imports.values(), ...literals].join('\n'));
}

// The file itself, further in: with its comments, and as it is wrapped there.
function rule(file: string) {
  const text = readFileSync(file, 'utf8');
  const groups = text.slice(text.search(/^groups:/m)).replace(/^(?=.)/gm, '  ');
  process.stdout.write(`# Made from deploy/prometheus/muster.rules.yaml: \`npm run generate\` in ../../check.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: muster
  labels:
    app.kubernetes.io/name: muster
spec:
${groups}`);
}

function values(schema: string, files: string[]) {
  const validate = new Ajv2020({ allErrors: true, strict: true }).compile(JSON.parse(readFileSync(schema, 'utf8')));
  for (const file of files) {
    if (validate(parse(readFileSync(file, 'utf8')))) continue;
    for (const error of validate.errors ?? []) {
      problem(`${file}: ${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`);
    }
  }
}

const [verb, ...files] = process.argv.slice(2);
if (verb === 'objects') objects(files);
else if (verb === 'rule' && files.length === 1) rule(files[0]);
else if (verb === 'values') values(files[0], files.slice(1));
else problem('usage: node out/main.js objects FILE… | rule FILE | values SCHEMA FILE…');
process.exitCode = problems > 0 ? 1 : 0;
