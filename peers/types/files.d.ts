// What Vite makes of files that are imported with such an ending.

declare module '*.proto?raw' {
  const source: string;
  export default source;
}

declare module '*.wasm?url' {
  const address: string;
  export default address;
}

declare module '*.css';
