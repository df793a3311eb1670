// @tus/server as a peer: npm install @tus/server @tus/file-store beside this file, then
// et-bench peers … --peer "node=tus:/files:node /path/to/tus_node.mjs {port} {dir}"
import { createServer } from "node:http";
import { Server } from "@tus/server";
import { FileStore } from "@tus/file-store";
const [port, directory] = process.argv.slice(2);
const server = new Server({ path: "/files", datastore: new FileStore({ directory }) });
createServer((request, response) => server.handle(request, response)).listen(Number(port), "127.0.0.1");
