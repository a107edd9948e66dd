import { Random } from '../../packages/guard/train/random.ts';

/** Beginnings of what people say of hurting themselves, in no order: every set of them may be under way at once. */
function beginnings(): string {
  const random = new Random(7);
  const list = [
    'how to',
    'ways of',
    'convince',
    'slit my',
    'cut',
    'commit',
    'should',
    'encourage',
    'eating',
    'easy',
    'end my',
    'take my',
    'words',
  ];
  return Array.from({ length: 8_000 }, () => `${random.pick(list)} `).join('');
}

/** Texts made to take long, by what is repeated: half matches, candidates without end, everything that looks encoded. */
export const HOSTILE: Readonly<Record<string, string>> = {
  'one letter': 'a',
  'single letters': 'a b ',
  'hyphenated letters': 'a-b-',
  'half an order': 'ignore all of the ',
  'orders without an end': 'ignore all previous and above and prior ',
  'role tokens': '<|im_start|',
  'addresses without a domain': 'a.b@',
  addresses: 'ab@cd.ef,',
  'digits with separators': '1 2-',
  'telephone numbers': '+1 202 555 0',
  'card numbers': '4111 1111 1111 1112 ',
  'dotted quads': '1.2.3.',
  'assignments of secrets': 'password = ',
  'keys that never end': 'sk-ant-api03-',
  'private key headers': '-----BEGIN PRIVATE KEY-----',
  'base64 of text': 'VGhpcyBpcyBhIHRlc3Qgb2YgdGhlIGd1YXJk ',
  'base64 of bytes': '3q2+78r+ur4AAQIDBAUGBwgJCgsMDQ4P/4A ',
  hex: '546869732069732061207465737420',
  'percent-encoding': '%54%68%69',
  'character references': '&#84;&#104;',
  'rot13 words': 'gur lbh naq ',
  'reversed words': 'eht uoy siht ',
  'scrambled words': 'pveorius itnsrcuitons ',
  'leet words': 'pr3v10us 1n5truct10n5 ',
  'every sign at once': 'gur lbh eht uoy pr3v10us pveorius itnsrcuitons a-b-c-d-e %41%42 &#65; a b c d VGhpcyBpcyBhIHRlc3Q ',
  'zero-width characters': 'i\u200bg\u200bn\u200bo\u200b',
  accents: 'e\u0301a\u0308',
  'look-alike letters': 'іgnоrе ',
  'full width': 'ｉｇｎｏｒｅ ',
  'mathematical letters': '𝐢𝐠𝐧𝐨𝐫𝐞 ',
  'lone surrogates': '\ud800a',
  ideographs: '忽略之前的',
  'right-to-left overrides': '\u202eabc\u202c',
  'line ends': '\n',
  'signs at the end of leet': `a1b a1b a1b a1b a1${'!'.repeat(1900)}a `,
  'hyphens at the end of addresses': `a@b.${'-'.repeat(3900)}x `,
  'beginnings of self-harm': beginnings(),
  'full stops at the end of passwords': `password: ${'.'.repeat(3000)}x\n`,
};
