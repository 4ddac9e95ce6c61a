// Prints the public methods of the client named by COMPAT_CLIENT, one a line.
import { dialect, publicMethods } from "./dialects.mjs";

console.log(publicMethods(dialect.Client).join("\n"));
