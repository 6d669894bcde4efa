// Variables for native libraries, which read them when they are loaded: their only way to be told some things.

/**
 * Sets variables of this process, and so of its threads and of the processes that it starts, before a library that reads
 * them is loaded. What is set already stays: whoever set it knows better.
 */
export function setNativeVariables(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) process.env[name] ??= value;
}
