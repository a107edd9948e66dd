import { answerJson, chatReply, chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';

/** A model server that answers whatever is asked, streamed where that is asked for. A probe in between changes nothing. */
export function chatEngine(): Promise<ScriptedUpstream> {
  const whole = answerJson(chatReply('Hi', 'chat'));
  const streamed = stream(chatStream(['one', ' two', ' three'], 'chat'));
  return ScriptedUpstream.start({
    behaviour: async (call) => {
      const body = await call.request.body;
      await (body.includes('"stream":true') ? streamed : whole)(call);
    },
  });
}
