// What we use of the package, whose own types are there only when the peers are installed (`paths` in tsconfig.json).
interface MessageType {
  fromObject(values: object): object;
  encode(message: object): { finish(): Uint8Array };
}
declare const protobuf: {
  parse(
    text: string,
    options: object,
  ): { readonly root: { lookupType(name: string): MessageType } };
};
export default protobuf;
