import type { Answer, Request } from '../node/chord/message.ts';
import { CHORD_METHOD } from '../node/ring/call-performer.ts';
import { answerCodec, requestCodec } from '../node/ring/message-codec.ts';
import { encodeRequest, encodeResponse } from '../node/rpc/rpc-message.ts';
import type { MessageSizes } from '../tests/simulation/simulation-options.ts';

/** A call id as long as one usually is. */
const CALL_ID = 70_000;

/** Bytes on the connection as the product's own codec makes them; what TCP and IP add is not counted. */
export const WIRE_SIZES: MessageSizes = {
  request(request: Request): number {
    const params = requestCodec.encode(request);
    return encodeRequest(CALL_ID, CHORD_METHOD, Array.isArray(params) ? params : []).length;
  },
  answer(answer: Answer): number {
    return encodeResponse(CALL_ID, null, answerCodec.encode(answer)).length;
  },
};
