// The platform compiles an imported .wasm at deployment: what arrives is a module still to be instantiated.
declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}
