// Compiles JavaScript files and resolves their imports without running any of them.
//
// Runs as `node --input-type=commonjs -e`, and loads nothing but builtins. The request comes in
// environment variables, the answer is one line of JSON after a mark.
'use strict';
const fs = require('node:fs');
const vm = require('node:vm');
const path = require('node:path').posix;
const { builtinModules } = require('node:module');
const { spawnSync } = require('node:child_process');

const MAX_FILE = 2 * 1024 * 1024;
const MAX_FINDINGS = 400;
const MAX_PATHS = 50000;
const SOURCES = /\.(?:[cm]?[jt]s|[jt]sx)$/;
const PLAIN = /\.[cm]?js$/;
const TYPED = /\.(?:[cm]?ts|tsx)$/;
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.tsx', '.jsx', '.d.ts', '.d.mts', '.d.cts', '.json', '.node', '.vue', '.svelte'];
const REWRITES = { '.js': ['.ts', '.tsx', '.d.ts', '.jsx'], '.jsx': ['.tsx'], '.mjs': ['.mts', '.d.mts'], '.cjs': ['.cts', '.d.cts'] };
// What a build makes; it is in no commit.
const BUILT = /(?:^|\/)(?:dist|build|out|lib|generated|gen|coverage|\.next|esm|cjs|pkg|__generated__|target)(?:\/|$)/;
const DATA = /(?:^|\/)(?:fixtures?|__fixtures__|testdata|templates?)\//;
// Packages that mean that `.js` files are compiled before node sees them.
const COMPILERS = ['react', 'preact', '@babel/core', 'flow-bin', 'next', 'vite', 'webpack', 'esbuild', 'parcel', 'react-native', '@swc/core'];
const ROOT = process.cwd();

function read(file) {
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile() || stat.size > MAX_FILE) return null;
    return fs.readFileSync(file, 'utf8');
  } catch { return null; }
}
const statOf = (file) => { try { return fs.statSync(file); } catch { return null; } };
const isFile = (file) => { const stat = statOf(file); return stat !== null && stat.isFile(); };
const isDir = (file) => { const stat = statOf(file); return stat !== null && stat.isDirectory(); };
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const relative = (file) => (file.startsWith(ROOT + '/') ? file.slice(ROOT.length + 1) : null);

// ---- tokens ---------------------------------------------------------------------------------

const BEFORE_REGEX = new Set(['return', 'typeof', 'case', 'in', 'of', 'delete', 'void', 'throw', 'new', 'else', 'do', 'instanceof', 'await', 'yield', 'default']);
const isStart = (c) => /[\p{ID_Start}$_#\\]/u.test(c);
const isPart = (c) => /[\p{ID_Continue}$\u200c\u200d\\]/u.test(c);

/** Words, strings and marks of a source, comments left out. Never fails: it is no parser. */
function tokens(text) {
  const out = [];
  const templates = [];
  let at = 0, line = 1, depth = 0;
  const push = (kind, value, atLine = line) => out.push({ kind, value, line: atLine, depth });
  const template = () => {
    let value = '';
    const start = line;
    for (; at < text.length; at++) {
      const c = text[at];
      if (c === '\\') { value += text[at + 1] || ''; if (text[at + 1] === '\n') line++; at++; continue; }
      if (c === '`') { at++; push('template', value, start); return; }
      if (c === '$' && text[at + 1] === '{') { at += 2; push('hole', '', start); templates.push(depth); depth++; return; }
      if (c === '\n') line++;
      value += c;
    }
  };
  while (at < text.length) {
    const c = text[at];
    if (c === '\n') { line++; at++; continue; }
    if (c === ' ' || c === '\t' || c === '\r') { at++; continue; }
    if (c === '/' && text[at + 1] === '/') { while (at < text.length && text[at] !== '\n') at++; continue; }
    if (c === '/' && text[at + 1] === '*') {
      const end = text.indexOf('*/', at + 2);
      const stop = end < 0 ? text.length : end + 2;
      for (let i = at; i < stop; i++) if (text[i] === '\n') line++;
      at = stop;
      continue;
    }
    if (c === '"' || c === "'") {
      let value = '';
      const start = line;
      for (at++; at < text.length && text[at] !== c && text[at] !== '\n'; at++) {
        if (text[at] === '\\') { at++; if (text[at] === '\n') line++; }
        value += text[at] === undefined ? '' : text[at];
      }
      if (text[at] === c) at++;
      push('string', value, start);
      continue;
    }
    if (c === '`') { at++; template(); continue; }
    if (isStart(c)) {
      const start = at;
      while (at < text.length && isPart(text[at] === '#' ? '_' : text[at])) at++;
      if (at === start) at++;
      push('word', text.slice(start, at));
      continue;
    }
    if (c >= '0' && c <= '9') {
      const start = at;
      while (at < text.length && /[\w.]/.test(text[at])) at++;
      push('number', text.slice(start, at));
      continue;
    }
    if (c === '/') {
      const last = out[out.length - 1];
      const value = !last || (last.kind === 'mark' && !')]}'.includes(last.value)) || (last.kind === 'word' && BEFORE_REGEX.has(last.value)) || last.kind === 'hole';
      if (value) {
        let inClass = false, i = at + 1;
        for (; i < text.length && text[i] !== '\n'; i++) {
          if (text[i] === '\\') { i++; continue; }
          if (text[i] === '[') inClass = true;
          else if (text[i] === ']') inClass = false;
          else if (text[i] === '/' && !inClass) break;
        }
        if (text[i] === '/') {
          at = i + 1;
          while (at < text.length && isPart(text[at])) at++;
          push('regex', '');
          continue;
        }
      }
    }
    if (c === '}' && templates.length && templates[templates.length - 1] === depth - 1) {
      templates.pop();
      depth--;
      at++;
      template();
      continue;
    }
    if (c === '}' || c === ')' || c === ']') depth = Math.max(0, depth - 1);
    if (c === '=' && text[at + 1] === '>') { push('mark', '=>'); at += 2; continue; }
    if (c === '.' && text[at + 1] === '.' && text[at + 2] === '.') { push('mark', '...'); at += 3; continue; }
    push('mark', c);
    if (c === '{' || c === '(' || c === '[') depth++;
    at++;
  }
  return out;
}

const is = (token, value) => token !== undefined && token.value === value && (token.kind === 'mark' || token.kind === 'word');

/** Names in `{ a, b as c, type d, default as e }`, from the brace on; and where it ends. */
function clause(list, at) {
  const names = [];
  let i = at + 1;
  while (i < list.length && !is(list[i], '}')) {
    const part = [];
    while (i < list.length && !is(list[i], ',') && !is(list[i], '}')) part.push(list[i++]);
    if (is(list[i], ',')) i++;
    let isType = false;
    if (part.length > 1 && is(part[0], 'type') && !is(part[1], 'as')) { isType = true; part.shift(); }
    if (part.length && (part[0].kind === 'word' || part[0].kind === 'string')) {
      const as = part.length > 2 && is(part[1], 'as') ? part[2] : part[0];
      names.push({ from: part[0].value, as: as.value, isType, line: part[0].line });
    }
  }
  return { names, end: i };
}

/** What a source imports and exports. */
function facts(text) {
  const list = tokens(text);
  const imports = [];
  const exported = { names: new Set(), stars: [], isOpen: false };
  let isModule = false, isCommon = false;
  const common = { names: new Set(), isOpen: false };
  const tries = [];
  const inTry = () => tries.length > 0;
  for (let i = 0; i < list.length; i++) {
    const token = list[i];
    while (tries.length && is(token, '}') && token.depth <= tries[tries.length - 1]) tries.pop();
    if (is(token, '{') && is(list[i - 1], 'try')) tries.push(token.depth);
    if (token.kind !== 'word' || (i > 0 && (is(list[i - 1], '.')))) continue;
    const next = list[i + 1];
    if (token.value === 'import' && next) {
      if (next.kind === 'string' && token.depth === 0) {
        isModule = true;
        imports.push({ line: next.line, spec: next.value, names: [], how: 'import' });
      } else if (is(next, '(')) {
        const arg = list[i + 2], after = list[i + 3];
        if (arg && arg.kind === 'string' && after && (is(after, ')') || is(after, ','))) {
          // Whoever catches a promise expects that it may fail.
          const caught = list.slice(i + 4, i + 7).some((t) => is(t, 'catch'));
          imports.push({ line: arg.line, spec: arg.value, names: [], how: 'dynamic', guarded: inTry() || caught });
        }
      } else if (token.depth === 0 && !is(next, '.') && !is(next, ':') && !is(next, '=')) {
        let j = i + 1, isType = false;
        if (is(next, 'type') && list[i + 2] && !is(list[i + 2], 'from') && !is(list[i + 2], ',')) { isType = true; j++; }
        const names = [];
        if (list[j] && list[j].kind === 'word' && list[j].value !== 'from') names.push({ from: 'default', as: list[j].value, isType, line: list[j].line });
        for (; j < list.length && j < i + 4000; j++) {
          if (is(list[j], '{')) { const part = clause(list, j); names.push(...part.names); j = part.end; continue; }
          if (is(list[j], 'from') && list[j + 1] && list[j + 1].kind === 'string') {
            isModule = true;
            imports.push({ line: list[j + 1].line, spec: list[j + 1].value, names, how: 'import', isType });
            i = j + 1;
            break;
          }
          if (is(list[j], ';') || is(list[j], '=')) {
            // `import x = require('y')`
            break;
          }
        }
      }
      continue;
    }
    if (token.value === 'export' && token.depth === 0 && next) {
      isModule = true;
      let j = i + 1;
      if (is(list[j], 'type') && list[j + 1] && (is(list[j + 1], '{') || is(list[j + 1], '*'))) j++;
      if (is(list[j], '=')) { exported.isOpen = true; continue; }
      if (is(list[j], '*')) {
        let name = null;
        if (is(list[j + 1], 'as') && list[j + 2]) { name = list[j + 2].value; j += 2; }
        if (is(list[j + 1], 'from') && list[j + 2] && list[j + 2].kind === 'string') {
          const spec = list[j + 2].value;
          imports.push({ line: list[j + 2].line, spec, names: [], how: 'export' });
          if (name === null) exported.stars.push(spec); else exported.names.add(name);
          i = j + 2;
        }
        continue;
      }
      if (is(list[j], '{')) {
        const part = clause(list, j);
        for (const name of part.names) exported.names.add(name.as);
        if (is(list[part.end + 1], 'from') && list[part.end + 2] && list[part.end + 2].kind === 'string') {
          imports.push({ line: list[part.end + 2].line, spec: list[part.end + 2].value, names: part.names, how: 'export' });
        }
        i = part.end;
        continue;
      }
      if (is(list[j], 'default')) { exported.names.add('default'); continue; }
      while (list[j] && ['declare', 'async', 'abstract'].includes(list[j].value)) j++;
      if (!list[j]) continue;
      const word = list[j].value;
      if (['const', 'let', 'var', 'using'].includes(word) && !is(list[j + 1], 'enum')) { declared(list, j + 1, exported); continue; }
      if (is(list[j + 1], 'enum')) j++;
      j++;
      if (is(list[j], '*')) j++;
      if (list[j] && (list[j].kind === 'word' || list[j].kind === 'string')) exported.names.add(list[j].value);
      else exported.isOpen = true;
      continue;
    }
    if (token.value === 'require' && is(next, '(')) {
      const arg = list[i + 2];
      if (arg && arg.kind === 'string' && is(list[i + 3], ')') && !is(list[i - 1], 'function')) {
        imports.push({ line: arg.line, spec: arg.value, names: taken(list, i), how: 'require', guarded: inTry() });
      }
      continue;
    }
    if (token.value === 'module' && is(next, '.') && is(list[i + 2], 'exports')) { isCommon = true; i = exportsOf(list, i + 3, common); continue; }
    if (token.value === 'exports' && next && !is(next, ':')) { isCommon = true; i = exportsOf(list, i + 1, common, true); }
  }
  return { imports, exported, isModule, isCommon: isCommon && !isModule, common };
}

/** Names of `const a = 1, { b, c: d } = f()`. Takes too many rather than too few. */
function declared(list, at, exported) {
  const base = list[at] ? list[at].depth : 0;
  let isPattern = true;
  for (let i = at; i < list.length; i++) {
    const token = list[i];
    if (token.depth === base) {
      if (is(token, ';') || (token.kind === 'word' && ['export', 'import', 'function', 'class', 'const', 'let', 'var'].includes(token.value) && i > at && !isPattern && token.line > list[i - 1].line)) return;
      if (is(token, '=')) { isPattern = false; continue; }
      if (is(token, ',')) { isPattern = true; continue; }
    }
    if (isPattern && token.kind === 'word') exported.names.add(token.value);
  }
}

/** Names that `const { a, b: c } = require(…)` takes. */
function taken(list, at) {
  if (!is(list[at - 1], '=') || !is(list[at - 2], '}') || is(list[at + 4], '.') || is(list[at + 4], '(')) return [];
  const depth = list[at - 2].depth;
  let open = at - 3;
  while (open >= 0 && !(is(list[open], '{') && list[open].depth === depth)) open--;
  if (open < 1 || !['const', 'let', 'var'].includes(list[open - 1].value)) return [];
  const names = [];
  for (let i = open + 1; i < at - 2; i++) {
    const starts = i === open + 1 || (is(list[i - 1], ',') && list[i - 1].depth === depth + 1);
    if (starts && list[i].kind === 'word' && !is(list[i + 1], '=')) names.push({ from: list[i].value, as: list[i].value, line: list[i].line });
  }
  return names;
}

/** `module.exports = { … }`, `exports.a =`; anything else may export anything. */
function exportsOf(list, at, common, isShort) {
  if (is(list[at], '.') && list[at + 1] && list[at + 1].kind === 'word') { common.names.add(list[at + 1].value); return at + 1; }
  if (!is(list[at], '=') || isShort || is(list[at + 1], '=')) { common.isOpen = common.isOpen || !is(list[at], '='); return at; }
  if (!is(list[at + 1], '{')) { common.isOpen = true; return at; }
  const depth = list[at + 1].depth;
  let i = at + 2;
  for (; i < list.length && !(is(list[i], '}') && list[i].depth === depth); i++) {
    if (list[i].depth !== depth + 1) continue;
    const starts = i === at + 2 || is(list[i - 1], ',') || ['get', 'set', 'async', '*'].includes(list[i - 1].value);
    if (!starts) continue;
    if (list[i].kind === 'word' || list[i].kind === 'string') common.names.add(list[i].value);
    else if (!is(list[i], ',') && !is(list[i], '*')) common.isOpen = true;
  }
  if (is(list[i + 1], '.') || is(list[i + 1], '[')) common.isOpen = true;
  // Only `require` and the like within the braces are left to the caller.
  return at + 1;
}

// ---- where modules are ----------------------------------------------------------------------

const jsonOf = (text) => { try { return JSON.parse(text); } catch { return undefined; } };

/** JSON with comments and trailing commas, as `tsconfig.json` has. */
function relaxed(text) {
  if (text === null) return undefined;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') {
      const start = i;
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
      out += text.slice(start, i + 1);
    } else if (text[i] === '/' && text[i + 1] === '/') {
      while (i < text.length && text[i] !== '\n') i++;
      out += '\n';
    } else if (text[i] === '/' && text[i + 1] === '*') {
      const end = text.indexOf('*/', i + 2);
      i = end < 0 ? text.length : end + 1;
    } else out += text[i];
  }
  return jsonOf(out.replace(/,(\s*[\]}])/g, '$1'));
}

const memo = new Map();
function once(key, make) {
  if (!memo.has(key)) memo.set(key, make());
  return memo.get(key);
}
const packageAt = (folder) => once('package ' + folder, () => {
  const text = read(folder + '/package.json');
  const value = text === null ? undefined : jsonOf(text.replace(/^\ufeff/, ''));
  return isObject(value) ? value : undefined;
});

/** Folders from a file's up to the root. */
function upwards(file) {
  const out = [];
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    out.push(folder);
    if (folder === ROOT || folder === '/') return out;
  }
}
const nearest = (file) => upwards(file).find((folder) => packageAt(folder) !== undefined);

function asFile(target, depth = 0) {
  if (isFile(target)) return target;
  for (const extension of EXTENSIONS) if (isFile(target + extension)) return target + extension;
  const extension = path.extname(target);
  for (const other of REWRITES[extension] || []) {
    const file = target.slice(0, -extension.length) + other;
    if (isFile(file)) return file;
  }
  if (isDir(target) && depth < 3) {
    const main = packageAt(target);
    for (const field of main ? [main.module, main.main, main.types] : []) {
      if (typeof field === 'string') { const file = asFile(path.join(target, field), depth + 1); if (file) return file; }
    }
    if (main && main.exports !== undefined) return target;
    return asFile(target + '/index', 3);
  }
  return null;
}

/** Every string that a value of `exports` or `imports` may lead to. */
function targets(value, depth = 0) {
  if (typeof value === 'string') return [value];
  if (depth > 8 || typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((inner) => targets(inner, depth + 1));
}

function keyed(map, key) {
  if (!isObject(map)) return undefined;
  if (Object.hasOwn(map, key)) return { value: map[key], rest: '' };
  for (const pattern of Object.keys(map)) {
    const star = pattern.indexOf('*');
    const [head, tail] = star < 0 ? [pattern.endsWith('/') ? pattern : null, ''] : [pattern.slice(0, star), pattern.slice(star + 1)];
    if (head !== null && key.startsWith(head) && key.endsWith(tail) && key.length >= head.length + tail.length) {
      return { value: map[pattern], rest: key.slice(head.length, key.length - tail.length) };
    }
  }
  return undefined;
}

/** The paths of the tsconfig that rules a file. */
const mappings = (folder) => once('tsconfig ' + folder, () => {
  const out = [];
  for (const name of ['tsconfig.json', 'jsconfig.json', 'tsconfig.base.json']) {
    let file = folder + '/' + name;
    for (let depth = 0; depth < 5 && file; depth++) {
      const config = relaxed(read(file));
      if (!isObject(config)) break;
      const options = isObject(config.compilerOptions) ? config.compilerOptions : {};
      const base = path.join(path.dirname(file), typeof options.baseUrl === 'string' ? options.baseUrl : '.');
      if (isObject(options.paths)) out.push({ base, paths: options.paths });
      if (typeof options.baseUrl === 'string') out.push({ base, paths: { '*': ['*'] } });
      const parent = Array.isArray(config.extends) ? config.extends[0] : config.extends;
      file = typeof parent === 'string' && parent.startsWith('.') ? path.join(path.dirname(file), parent.endsWith('.json') ? parent : parent + '.json') : null;
    }
  }
  return out;
});

const splitName = (spec) => {
  const parts = spec.split('/');
  const length = spec.startsWith('@') ? 2 : 1;
  return { name: parts.slice(0, length).join('/'), sub: parts.slice(length).join('/') };
};

const DEPENDENCIES = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'];
const declaredIn = (manifest) => new Set(DEPENDENCIES.flatMap((field) => (isObject(manifest[field]) ? Object.keys(manifest[field]) : [])));

const LOCKS = ['package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml', 'bun.lock'];
const lockOf = (folder) => once('lock ' + folder, () => {
  for (const name of LOCKS) {
    let text = null;
    try { text = fs.statSync(folder + '/' + name).size < 32 * 1024 * 1024 ? fs.readFileSync(folder + '/' + name, 'utf8') : null; } catch { continue; }
    if (text === null) continue;
    const names = new Set();
    if (name.endsWith('.json')) {
      const lock = jsonOf(text);
      if (!isObject(lock)) return { name, names: null };
      for (const key of Object.keys(isObject(lock.packages) ? lock.packages : {})) names.add(key.slice(key.lastIndexOf('node_modules/') + (key.includes('node_modules/') ? 13 : 0)));
      for (const key of Object.keys(isObject(lock.dependencies) ? lock.dependencies : {})) names.add(key);
      for (const inner of Object.values(isObject(lock.packages) ? lock.packages : {})) if (isObject(inner) && typeof inner.name === 'string') names.add(inner.name);
    } else {
      for (const match of text.matchAll(/(?:^|[\s"',/:])(@[\w.~-]+\/[\w.~-]+|[a-zA-Z0-9][\w.~-]*)(?=@|['"]?:)/gm)) names.add(match[1]);
    }
    return { name, names };
  }
  return undefined;
});

class Resolver {
  constructor(files) { this.files = files; }

  /** Names of the tree's own packages. */
  own() {
    return once('own', () => {
      const out = new Map();
      for (const file of this.files) {
        if (path.basename(file) !== 'package.json') continue;
        const folder = path.dirname(ROOT + '/' + file);
        const manifest = packageAt(folder);
        if (manifest && typeof manifest.name === 'string') out.set(manifest.name, folder);
      }
      return out;
    });
  }

  /** `{ file }`, `{ ok }` where nobody can know more, `{ missing }`, `{ absent: package }`. */
  resolve(importer, spec, isType) {
    const clean = spec.startsWith('#') ? spec : spec.split('?')[0].split('#')[0];
    if (clean === '' || clean.includes('!') || clean.includes('\0')) return { ok: true };
    if (builtinModules.includes(clean.replace(/^node:/, ''))) return { ok: true };
    if (clean.startsWith('node:')) {
      const bare = clean.slice(5);
      return ['test', 'test/reporters', 'sqlite', 'sea'].includes(bare) || builtinModules.includes(clean) ? { ok: true } : { missing: 'there is no such builtin of node ' + process.versions.node };
    }
    if (/^[a-z][a-z0-9+.-]*:/i.test(clean)) return { ok: true };
    if (/^\.{0,2}\//.test(clean) || clean === '.' || clean === '..') {
      if (clean.startsWith('/')) return { ok: true };
      const target = path.join(path.dirname(importer), clean);
      if (!(target + '/').startsWith(ROOT + '/')) return { missing: 'it leads out of the tree' };
      const file = asFile(target);
      if (file) return { file };
      return { missing: `there is no file \`${relative(target) || clean}\``, target, isSoft: BUILT.test(clean) };
    }
    if (clean.startsWith('#')) {
      const folder = nearest(importer);
      const found = folder && keyed(packageAt(folder).imports, clean);
      if (!found) return { missing: 'no `imports` of a package.json has it' };
      return this.first(folder, found, true) || { missing: 'what `imports` of package.json says is not there', isSoft: true };
    }
    for (const folder of upwards(importer)) {
      for (const { base, paths } of mappings(folder)) {
        const found = keyed(paths, clean);
        if (!found) continue;
        for (const target of targets(found.value)) {
          const file = asFile(path.join(base, target.replace('*', () => found.rest)));
          if (file) return { file };
        }
      }
    }
    // What bundlers are told elsewhere.
    if (/^(?:@|~)\//.test(clean) || clean.startsWith('~') || clean.startsWith('$')) return { missing: 'no `paths` of a tsconfig.json lead there', isSoft: true };
    return this.package(importer, clean, isType);
  }

  first(folder, found, mayBePackage) {
    const list = targets(found.value).map((target) => target.replace('*', () => found.rest));
    for (const target of list) {
      if (target.startsWith('.')) { const file = asFile(path.join(folder, target)); if (file) return { file }; } else if (mayBePackage) return { ok: true };
    }
    return undefined;
  }

  package(importer, spec, isType) {
    const { name, sub } = splitName(spec);
    const folder = nearest(importer);
    if (folder && packageAt(folder).name === name) return this.inside(folder, sub, spec);
    for (const up of upwards(importer)) {
      if (path.basename(up) === 'node_modules') continue;
      const at = up + '/node_modules/' + name;
      if (isDir(at)) return this.inside(at, sub, spec);
      const types = up + '/node_modules/@types/' + name.replace(/^@/, '').replace('/', '__');
      if (isType && isDir(types)) return { ok: true };
    }
    const own = this.own().get(name);
    if (own) return this.inside(own, sub, spec);
    return { absent: name };
  }

  inside(folder, sub, spec) {
    const manifest = packageAt(folder);
    const isOwn = !folder.includes('/node_modules/');
    if (manifest && manifest.exports !== undefined && manifest.exports !== null) {
      const map = manifest.exports;
      const isMap = isObject(map) && Object.keys(map).some((key) => key.startsWith('.'));
      const key = sub ? './' + sub : '.';
      if (!isMap && sub) return { missing: `the package exports no \`./${sub}\`` };
      const found = isMap ? keyed(map, key) : { value: map, rest: '' };
      if (!found || found.value === null) return { missing: `the package exports no \`${key}\`` };
      // An own package may be built only later.
      return this.first(folder, found, false) || { ok: true };
    }
    if (!sub) { const file = asFile(folder); return file && isOwn ? { file } : { ok: true }; }
    const file = asFile(path.join(folder, sub));
    return file ? { file } : { missing: `the package has no \`${sub}\``, isSoft: isOwn };
  }
}

const factsOf = (file) => once('facts ' + file, () => {
  const text = SOURCES.test(file) && !/\.d\.[cm]?ts$/.test(file) ? read(file) : null;
  return text === null ? null : facts(text);
});

/** true, false, or null when nobody can know. */
function exportsName(resolver, file, name, seen = new Set()) {
  if (seen.has(file)) return false;
  seen.add(file);
  const known = relative(file) === null || file.includes('/node_modules/') ? null : factsOf(file);
  if (known === null || known.exported.isOpen) return null;
  if (!known.isModule) return null;
  if (known.exported.names.has(name)) return true;
  if (name === 'default') return false;
  let unknown = false;
  for (const spec of known.exported.stars) {
    const found = resolver.resolve(file, spec, false);
    const answer = found.file ? exportsName(resolver, found.file, name, seen) : null;
    if (answer) return true;
    unknown = unknown || answer === null;
  }
  return unknown ? null : false;
}

// ---- the check ------------------------------------------------------------------------------

/** What `node --check` prints of a module, with its place as if it were called `booty-source`. */
function checked(source) {
  try {
    const folder = fs.mkdtempSync('/tmp/booty-');
    const file = folder + '/source.mjs';
    fs.writeFileSync(file, source);
    const run = spawnSync(process.execPath, ['--check', file], { cwd: folder, timeout: 20000, encoding: 'utf8' });
    fs.rmSync(folder, { recursive: true, force: true });
    return String(run.stderr).replace(/^file:\/\//, '').replace(file, 'booty-source');
  } catch { return ''; }
}

function syntaxError(text, file, isModule) {
  const source = text.replace(/^\ufeff/, '').replace(/^#!/, '//');
  try {
    if (isModule) new vm.SourceTextModule(source, { identifier: 'booty-source' });
    else vm.compileFunction(source, ['exports', 'require', 'module', '__filename', '__dirname'], { filename: 'booty-source' });
    return null;
  } catch (error) {
    // What a module's error says of its place only node's own command line tells.
    const stack = isModule ? checked(source) : String(error && error.stack);
    const match = /^booty-source:(\d+)/m.exec(stack);
    return { line: match ? Number(match[1]) : 1, message: `${error && error.name}: ${error && error.message}`, detail: match ? stack.split('\n').slice(1, 3).join('\n') : null };
  }
}

class Check {
  constructor(request) {
    this.changed = new Set(request.changed.map((one) => one.path));
    this.deleted = new Set(request.deleted);
    this.base = new Map(Object.entries(request.base));
    this.files = walk();
    this.resolver = new Resolver(this.files);
    this.findings = [];
    this.notInstalled = new Set();
    this.unchecked = [];
    this.counts = { compiled: 0, files: 0, imports: 0 };
    this.typed = 0;
  }

  add(rule, level, file, line, message, detail) {
    if (this.findings.length < MAX_FINDINGS) this.findings.push({ rule, level, path: file, line, message: String(message).slice(0, 400), detail: detail ? String(detail).slice(0, 2000) : null });
  }

  isModule(file) {
    if (file.endsWith('.mjs')) return true;
    if (file.endsWith('.cjs')) return false;
    const folder = nearest(ROOT + '/' + file);
    const type = folder && packageAt(folder).type;
    return type === 'module' ? true : type === 'commonjs' ? false : null;
  }

  compiles(file, text) {
    const kind = this.isModule(file);
    const first = syntaxError(text, file, kind === true);
    // A `.js` of no stated kind is what it looks like.
    if (first === null || kind !== null) return first;
    return syntaxError(text, file, true) === null ? null : (facts(text).isModule ? syntaxError(text, file, true) : first);
  }

  file(file) {
    const text = read(ROOT + '/' + file);
    if (text === null) { this.unchecked.push(`${file}: not a readable file of at most ${MAX_FILE / 1024} KiB`); return; }
    this.counts.files++;
    if (PLAIN.test(file)) {
      this.counts.compiled++;
      const error = this.compiles(file, text);
      if (error) {
        let level = 'failure';
        const manifest = packageAt(nearest(ROOT + '/' + file) || ROOT) || {};
        const packages = declaredIn(manifest);
        if (DATA.test(file) || COMPILERS.some((name) => packages.has(name))) level = 'warning';
        if (this.base.has(file) && this.compiles(file, this.base.get(file))) level = 'notice';
        this.add('syntax_error', level, file, error.line, error.message, error.detail);
        if (level === 'failure') return;
      }
    } else if (TYPED.test(file)) this.typed++;
    const before = this.before(file);
    for (const one of facts(text).imports) { this.counts.imports++; this.one(file, one, before); }
  }

  before(file) {
    const out = new Set();
    if (!this.base.has(file)) return out;
    for (const one of facts(this.base.get(file)).imports) {
      out.add(one.spec);
      for (const name of one.names) out.add(one.spec + ' ' + name.from);
    }
    return out;
  }

  shown(one, name) {
    if (name) return one.how === 'require' ? `{ ${name} } = require('${one.spec}')` : `${one.how === 'export' ? 'export' : 'import'} { ${name} } from '${one.spec}'`;
    return one.how === 'require' ? `require('${one.spec}')` : one.how === 'dynamic' ? `import('${one.spec}')` : one.how === 'export' ? `export … from '${one.spec}'` : `import '${one.spec}'`;
  }

  one(file, one, before) {
    const importer = ROOT + '/' + file;
    const found = this.resolver.resolve(importer, one.spec, one.isType || TYPED.test(file));
    const shown = '`' + this.shown(one) + '`';
    if (found.absent !== undefined) { this.absent(file, one, found.absent, before, shown); return; }
    if (found.missing) {
      const gone = found.target && [...this.deleted].some((path_) => this.was(path_, relative(found.target) || ''));
      const [level, why] = one.guarded ? ['notice', ' (inside `try`)'] : gone ? ['failure', ''] : before.has(one.spec) ? ['notice', ' (as before the change)'] : found.isSoft || DATA.test(file) ? ['warning', ''] : ['failure', ''];
      this.add('unresolved_import', level, file, one.line, `${shown}: ${found.missing}${why}`);
      return;
    }
    if (!found.file) return;
    for (const name of one.names) {
      const answer = one.how === 'require' ? this.commonHas(found.file, name.from) : exportsName(this.resolver, found.file, name.from);
      if (answer !== false || name.isType) continue;
      const target = relative(found.file);
      const old = before.has(one.spec + ' ' + name.from) && !(this.changed.has(target) && this.exportedBefore(target).has(name.from));
      const level = one.guarded || old ? 'notice' : 'failure';
      const what = name.from === 'default' ? 'has no default export' : `exports no \`${name.from}\``;
      this.add('unknown_symbol', level, file, name.line, `\`${this.shown(one, name.from)}\`: \`${target}\` ${what}${old ? ' (as before the change)' : ''}`);
    }
  }

  commonHas(file, name) {
    const known = relative(file) === null || file.includes('/node_modules/') ? null : factsOf(file);
    if (!known || !known.isCommon || known.common.isOpen) return null;
    return known.common.names.has(name);
  }

  exportedBefore(file) {
    return once('before ' + file, () => {
      if (!this.base.has(file)) return new Set();
      const known = facts(this.base.get(file));
      return known.isCommon ? known.common.names : known.exported.names;
    });
  }

  /** Whether a deleted file was what this path named. */
  was(deleted, target) {
    const bare = (file) => file.replace(/\.(?:d\.)?[a-z]+$/, '');
    return deleted === target || bare(deleted) === target || bare(deleted) === bare(target) || bare(deleted) === target + '/index';
  }

  absent(file, one, name, before, shown) {
    const importer = ROOT + '/' + file;
    const types = '@types/' + name.replace(/^@/, '').replace('/', '__');
    let hasManifest = false;
    for (const folder of upwards(importer)) {
      const manifest = packageAt(folder);
      hasManifest = hasManifest || manifest !== undefined;
      const packages = manifest ? declaredIn(manifest) : new Set();
      const lock = lockOf(folder);
      if (packages.has(name) || (one.isType && packages.has(types)) || (lock && lock.names && lock.names.has(name))) {
        if (!isFile(folder + '/.pnp.cjs') && !one.guarded) this.notInstalled.add(name);
        return;
      }
    }
    const where = hasManifest ? 'package.json' : 'package.json (there is none)';
    const why = `no such file of the tree, builtin of node or installed package, and no package of that name in ${where}`;
    const others = !one.guarded && !before.has(one.spec) && this.othersImport(name);
    const [level, tail] = one.guarded ? ['notice', ' (inside `try`)'] : before.has(one.spec) || others ? ['notice', ' (as before the change)'] : DATA.test(file) ? ['warning', ''] : ['failure', ''];
    if (level === 'notice' && !one.guarded) this.notInstalled.add(name);
    this.add('hallucinated_dependency', level, file, one.line, `${shown}: ${why}${tail}`);
  }

  *unchanged() {
    for (const file of this.files) {
      if (!SOURCES.test(file) || this.changed.has(file)) continue;
      const text = read(ROOT + '/' + file);
      if (text !== null) yield [file, text];
    }
  }

  othersImport(name) {
    return once('others ' + name, () => {
      for (const [, text] of this.unchanged()) {
        if (text.includes(name) && facts(text).imports.some((one) => splitName(one.spec).name === name)) return true;
      }
      return false;
    });
  }

  /** Unchanged files that import what the change took away. */
  removed() {
    const words = new Set();
    const touched = new Set();
    for (const file of this.deleted) if (SOURCES.test(file) || /\.(?:json|vue|svelte)$/.test(file)) {
      const stem = path.basename(file).replace(/\.(?:d\.)?[a-z]+$/, '');
      words.add(stem === 'index' ? path.basename(path.dirname(file)) : stem);
    }
    for (const file of this.changed) {
      if (!this.base.has(file) || !SOURCES.test(file)) continue;
      const now = factsOf(ROOT + '/' + file);
      if (now === null) continue;
      const names = now.isCommon ? now.common.names : now.exported.names;
      for (const name of this.exportedBefore(file)) if (!names.has(name)) { words.add(name === 'default' ? path.basename(file).replace(/\.[a-z]+$/, '') : name); touched.add(file); }
    }
    if (!words.size) return;
    for (const [file, text] of this.unchanged()) {
      if (![...words].some((word) => word === '.' || text.includes(word))) continue;
      for (const one of facts(text).imports) {
        if (one.guarded) continue;
        const found = this.resolver.resolve(ROOT + '/' + file, one.spec, false);
        if (found.target && [...this.deleted].some((gone) => this.was(gone, relative(found.target) || ''))) {
          this.add('unresolved_import', 'failure', file, one.line, `\`${this.shown(one)}\`: the change deletes it`);
        }
        const target = found.file ? relative(found.file) : null;
        if (target === null || !touched.has(target)) continue;
        for (const name of one.names) {
          const answer = one.how === 'require' ? this.commonHas(found.file, name.from) : exportsName(this.resolver, found.file, name.from);
          if (answer === false && this.exportedBefore(target).has(name.from)) {
            const what = name.from === 'default' ? 'has no default export' : `exports no \`${name.from}\``;
            this.add('unknown_symbol', 'failure', file, name.line, `\`${this.shown(one, name.from)}\`: \`${target}\` ${what} any more`);
          }
        }
      }
    }
  }

  manifest(file) {
    const text = read(ROOT + '/' + file);
    const folder = path.dirname(ROOT + '/' + file);
    let now;
    try { now = JSON.parse((text || '').replace(/^\ufeff/, '')); } catch (error) {
      this.add('syntax_error', DATA.test(file) ? 'warning' : 'failure', file, 1, `not JSON: ${error.message}`);
      return;
    }
    const lock = lockOf(folder) || lockOf(ROOT);
    if (!isObject(now) || !lock) return;
    if (lock.names === null) { this.unchecked.push(`${lock.name}: it cannot be read as a lock file`); return; }
    const before = jsonOf(this.base.get(file) || '{}');
    const old = isObject(before) ? declaredIn(before) : new Set();
    for (const field of DEPENDENCIES.filter((one) => one !== 'peerDependencies')) {
      for (const [name, version] of Object.entries(isObject(now[field]) ? now[field] : {})) {
        if (old.has(name) || lock.names.has(name) || this.resolver.own().has(name) || /^(?:file|link|workspace|portal):/.test(String(version))) continue;
        const at = text.indexOf(JSON.stringify(name), Math.max(0, text.indexOf(JSON.stringify(field))));
        this.add('hallucinated_dependency', 'failure', file, text.slice(0, Math.max(0, at)).split('\n').length, `\`${name}\` is named in ${file} and not in ${lock.name}`);
      }
    }
  }
}

function walk() {
  const out = [];
  const folders = [''];
  while (folders.length && out.length < MAX_PATHS) {
    const folder = folders.pop();
    let entries;
    try { entries = fs.readdirSync(folder ? ROOT + '/' + folder : ROOT, { withFileTypes: true }); } catch { continue; }
    for (const entry of entries) {
      const file = folder ? folder + '/' + entry.name : entry.name;
      if (entry.isDirectory()) { if (entry.name !== 'node_modules' && entry.name !== '.git') folders.push(file); } else if (entry.isFile() && (SOURCES.test(file) || entry.name === 'package.json')) out.push(file);
    }
  }
  return out.sort();
}

/** The root's tsconfig and what it refers to; one that lists no files only refers. */
function projects() {
  const root = relaxed(read(ROOT + '/tsconfig.json'));
  if (root === undefined) return isFile(ROOT + '/tsconfig.json') ? ['tsconfig.json'] : [];
  const out = isObject(root) && Array.isArray(root.files) && root.files.length === 0 && root.include === undefined ? [] : ['tsconfig.json'];
  for (const one of isObject(root) && Array.isArray(root.references) ? root.references : []) {
    if (!isObject(one) || typeof one.path !== 'string') continue;
    const file = path.join(ROOT, one.path, one.path.endsWith('.json') ? '' : 'tsconfig.json').replace(/\/$/, '');
    if (relative(file) !== null && isFile(file) && out.length < 8) out.push(relative(file));
  }
  return out;
}

function main() {
  let json = '';
  for (let number = 0; process.env['BOOTY_REQUEST_' + number] !== undefined; number++) json += process.env['BOOTY_REQUEST_' + number];
  const request = JSON.parse(json);
  const check = new Check(request);
  const guard = (file, work) => {
    try { work(); } catch (error) {
      const how = error && error.name ? error.name : 'an error';
      check.add('check_failed', 'failure', file, 1, `the analysis of this file ended with ${how}`);
      check.unchecked.push(`${file}: its analysis ended with ${how}`);
    }
  };
  for (const file of check.changed) {
    if (path.basename(file) === 'package.json') guard(file, () => check.manifest(file));
    else if (SOURCES.test(file)) guard(file, () => check.file(file));
  }
  guard('', () => check.removed());
  const order = { failure: 0, warning: 1, notice: 2 };
  check.findings.sort((a, b) => order[a.level] - order[b.level] || (a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line));
  const answer = {
    version: process.versions.node, findings: check.findings, files: check.counts.files, compiled: check.counts.compiled, imports: check.counts.imports,
    typed: check.typed, not_installed: [...check.notInstalled].slice(0, 200), unchecked: check.unchecked.slice(0, 200),
    projects: projects(), has_tsc: isFile(ROOT + '/node_modules/typescript/lib/tsc.js') || isFile(ROOT + '/node_modules/.bin/tsc'),
  };
  process.stdout.write('\n' + request.mark + JSON.stringify(answer) + '\n');
}

main();
