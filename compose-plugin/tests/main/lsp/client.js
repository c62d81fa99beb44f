// VS Code's own client library for the protocol, against the program.
// node client.js PROGRAM FILE BESIDE LINE CHARACTER: prints, as one JSON object, what the editor is told about that place.
// BESIDE is a file beside which `vscode-languageserver-protocol` is installed.
const { spawn } = require('node:child_process');
const { readFileSync, realpathSync } = require('node:fs');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');

const [program, file, beside, line, character] = process.argv.slice(2);
const lsp = createRequire(realpathSync(beside))('vscode-languageserver-protocol/node');

async function main() {
  const server = spawn(program, ['lsp', '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise(resolve => server.on('exit', code => resolve(code)));
  const connection = lsp.createProtocolConnection(
    new lsp.StreamMessageReader(server.stdout), new lsp.StreamMessageWriter(server.stdin));
  const uri = pathToFileURL(file).href;
  const told = new Promise(resolve =>
    connection.onNotification(lsp.PublishDiagnosticsNotification.type, it => it.uri === uri && resolve(it.diagnostics)));
  connection.listen();
  const { capabilities } = await connection.sendRequest(lsp.InitializeRequest.type,
    { processId: process.pid, rootUri: null, capabilities: {}, workspaceFolders: null });
  await connection.sendNotification(lsp.InitializedNotification.type, {});
  await connection.sendNotification(lsp.DidOpenTextDocumentNotification.type,
    { textDocument: { uri, languageId: 'dockercompose', version: 1, text: readFileSync(file, 'utf8') } });
  const diagnostics = await told;
  const at = { textDocument: { uri }, position: { line: Number(line), character: Number(character) } };
  const completion = await connection.sendRequest(lsp.CompletionRequest.type, at);
  const definition = await connection.sendRequest(lsp.DefinitionRequest.type, at);
  const hover = await connection.sendRequest(lsp.HoverRequest.type, at);
  // What the server does not know is refused as the protocol wants it, and the connection goes on.
  const unknown = await connection.sendRequest(lsp.FoldingRangeRequest.type, { textDocument: { uri } })
    .then(() => null, error => error.code);
  await connection.sendRequest(lsp.ShutdownRequest.type);
  await connection.sendNotification(lsp.ExitNotification.type);
  console.log(JSON.stringify({
    capabilities, diagnostics, completion, definition, hover, unknown, exit: await ended,
  }));
  connection.dispose();
}

main().catch(error => { console.error(error); process.exit(1); });
