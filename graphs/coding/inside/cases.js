// Try a JavaScript program: evaluate each expectation of plan.json in it and print what came of it, one JSON line each.
// The plan is that of cases.py.
"use strict";
const fs = require("node:fs");
const util = require("node:util");
const vm = require("node:vm");

const plan = JSON.parse(fs.readFileSync("plan.json", "utf8"));
const wait = plan.seconds * 1000;
const write = process.stdout.write.bind(process.stdout);
const say = (told) => write(`${plan.mark}${JSON.stringify(told)}\n`);
const show = (value) => util.inspect(value, { depth: 6, breakLength: Infinity }).slice(0, 300);
const quiet = Object.fromEntries(["log", "info", "warn", "error", "debug", "table"].map((name) => [name, () => {}]));

const module_ = { exports: {} };
const context = vm.createContext({
  require, module: module_, exports: module_.exports, console: quiet, process: { argv: [], env: {}, exit() {} },
  setTimeout, clearTimeout, setInterval, clearInterval, queueMicrotask, Buffer, URL, URLSearchParams,
  TextEncoder, TextDecoder, structuredClone, True: true, False: false, None: null,
});

function same(got, want) {
  if (typeof got === "number" && typeof want === "number") {
    return Object.is(got, want) || got === want || Math.abs(got - want) <= 1e-6 * Math.max(1, Math.abs(want));
  }
  if (got === undefined && want === null) return true;
  if (Array.isArray(got) && Array.isArray(want)) {
    return got.length === want.length && got.every((each, n) => same(each, want[n]));
  }
  return util.isDeepStrictEqual(got, want);
}

function reason(error) {
  if (error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return { got: "took too long" };
  const line = /solution\.js:(\d+)/.exec((error && error.stack) || "");
  return { got: `${(error && error.name) || "Error"}: ${(error && error.message) || error}`.slice(0, 300), line: line && +line[1] };
}

const evaluate = (text) => vm.runInContext(`(${text}\n)`, context, { timeout: wait, filename: "case.js" });

async function settled(value) {
  let timer;
  const late = new Promise((_, refuse) => { timer = setTimeout(() => refuse(new Error("took too long")), wait); });
  try { return await Promise.race([value, late]); } finally { clearTimeout(timer); }
}

async function attempt(each) {
  try {
    if (each.setup) vm.runInContext(each.setup, context, { timeout: wait, filename: "case.js" });
    const got = await settled(evaluate(each.call));
    const passed = "expected" in each && same(got, evaluate(each.expected));
    return { name: each.call, passed, got: show(got) };
  } catch (error) {
    return { name: each.call, passed: false, raised: true, ...reason(error) };
  }
}

async function main() {
  try {
    // an exported function is the same function without the word
    const source = fs.readFileSync(plan.file, "utf8").replace(/^export\s+(?:default\s+)?(?=(?:async\s+)?(?:function|class|const|let|var)\b)/gm, "");
    vm.runInContext(source, context, { timeout: wait, filename: "solution.js" });
  } catch (error) {
    say({ kind: "load", ...reason(error) });
    return;
  }
  let slow = 0;
  for (const each of plan.cases) {
    const told = await attempt(each);
    say({ kind: "case", ...told });
    // the rest would take as long and say no more
    if (String(told.got).endsWith("took too long") && ++slow > 1) return;
  }
}

main().then(() => process.exit(0));
