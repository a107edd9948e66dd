import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { decodeBzip2 } from '../src/archive/bzip2.ts';
import { decodeGzip, decodeZlib } from '../src/archive/deflate.ts';
import { decodeLz4 } from '../src/archive/lz4.ts';
import { decodeLzmaAlone } from '../src/archive/lzma.ts';
import { Damaged, Input, Output } from '../src/archive/output.ts';
import { decodeXz } from '../src/archive/xz.ts';
import { bufferSource, DEFAULT_LIMITS } from '../src/index.ts';
import { Piece, Scan } from '../src/piece.ts';
import { EVIL, rulesOf, scanBytes } from './writers.ts';

/**
 * One pickle of 4,697 bytes (repeated names, random bytes, runs, then a dangerous call), compressed by CPython 3.11's bz2 and lzma, by lz4
 * 4.4 with linked blocks, and by py7zr 1.0: what these decoders must give back to the byte.
 */
const SHA256 = '47b26da152c649994347c08648a1605d1b886549183c7685e37ae128af03f0d0';
const VECTORS: ReadonlyMap<string, string> = new Map([
  [
    'bzip2',
    'QlpoOTFBWSZTWVkhqxEACEJ///+f86Hwy3/mnyO9k7tm//JH9b95bLdsWmPYf5XJa12S0APe04UpQnYEIlQ2UNAHqNAAGg9Q0DQBpoABoAeoeo0aGjQaANA0xNHqDEyek2oNHtTSFKNTI00aaGmmhpkxMmIyaDQaGIyGjBBpkMEyMQY1GgwIZDTTQBpoNA0wilT/3qpM/aqSoAAAAAAABoAGQAAAAAABoNABoBoAAAgwJo00NNNMTE0NNNDARgEYQGTATTRgIAwAJkYBNMgGQAxDTIGTKUxFAAA0NABoAA0aAD1AAHqAeoAAA0HqDQ0AAAAAfEkAuzgEAskAyJAOo5lavbxh7K5efs+h/JAEggZTkFv2WHdJGvYqVYzlH55J9ofU/baOgFYR6LBEHUCAAcy3GhAAALUQQQASJCAIgmJSkxImIAgwCIiIMpSYJLdVkABtskUhAEQTBgmJSlICRgEREQSJSkyBVHChhVVQHdbPZOUy2Uzz2c1yMjM2MjJ8LhVZZZFAZXeNAGFUB+Aa7u9WFAFYAXLrXpk69IyMzYyMjM2Mmw2C1VAGADd4gFYUABd3eFXd1VXZbjM2MjIzNjIyMzZRRQkkAEkQkp0kkSEkEqEmW3SpzOalTnozYyMjM2MjI51VatWV3ld3jWABhQF6ru7xwqgCgMrvbLpo6Z6M0mbGRkZmxkcdtMJSpMgNtKmkpENtgttVEkpABtstu4jWatNbr0mkjM2MjIzNjmsAKwoAC7u8Ku7qqu7tu7uqq7xyNWpykVkZGZsZGSnRrqRE86nSSRISQSmSZbbADbSnSVFSepRlJozNjIyMzYyMxrC8cTCgLxu7vHCqAKAbvGgDCqAQu5qYsZGZsZGRmbGRvPCgCsALuXd41VAGAFt4gFYUBmajVqkVkZGZsZGRme38f/NptPO4Lq9y2vz/p3/ZfN2327f0/D6/um7HFuMj9NL46u59WVAJBAtIAJBAr9lVrABIIFYAkEDf6HhUVa4BIIFvaZO69Wx/dvw9FX7QBIIHoudhmuPVvNgAkBAEwACEAgDW+HHi2fxmicW0PH+FNnRBzJpByicvddtdBNnGZMaqMM7l57HHHHTTTTTRQBVVAFVUAVVQBVVAFVUAVVQBVVAFVUAVVQBVVAFVUAVVQBVVAFVUAVVQBVVAFVUAVVQBVVAFVUAVVQBVVAFVUAVVQBVV+75fx2v1+/9P8ZfqXBvSHfucpsq4105esrV/RPT2aDzYLgFXVY+fI89MP6Qc0cVAiSub1QHUeC6kHC/l8JWWSaj5yx4xx2p6JEq2aWeuAQAKHwonR7FjDN116RDd5aN1P+LuSKcKEgskNWIg',
  ],
  [
    'xz',
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4BJYAhpdAEABB0v3XKpJ0gzq6GiKVSNLkABy2RpiKqBKEcHzH3TeIc6PcqjA0Vd4620DvKVWIPg4L5v5nipCyTnn5KLlrHp+n73q8AKmGPoRhqKDh/O/5jLD6BsttK7aVYqSeqhgt7SGJz9pBwc+vGWBzdkSjKEDf4QRP0Y5HSZ5mC5bvo/I1mEChSOgm9/rkT2ou3zrTd3S9OtsueCyKV0PJee0ctcGyVZommqDWxoPoxwFtXXj6plyfc2CmlyWPdsUqrfMRd4bL9hhjmku6Iy/pJ6nmcD0CT+uX1tcxsXVSZ7M/Kj1opC7crpjw3peGUG6wIkVg8+5VTgZO2OpHjLiZoU/ShUn55RAaNsbbfYLREF3FsCZacgFWMrfOLpQWC+cjbpbJ78eFqaMFqxjWtY4ikn0XT4Dx/m9hYtRFD031HaYl398Oo3YlHBAbuJGhuAZYZqH54PzIo2Y9Th66XtOX2f+FCDo/0BX0IbzNWVSmLmlwbIGJnlrBfupJs13qZjb2UaCju3HvwP1przYFdw0Z4eF9hbKK8G+hydoK0ke2lBgknR5DYvz16A3kR1VRA1Td5mWwB8Ienc/PXRzOmw4CZlxeJqr17MY7Yma2VkMjzRwNzy/Fc/qNwROw7BNZkFATK0+0fF4rPTN20t4fNn09TLW3kTwdXOcmAU39t1RQQkIcywrTzznpwxqYFPE6ClPrCO5Wb8vR4LX2iZr8gAAAADzNdDS6+mvXwABtgTZJAAAWppenrHEZ/sCAAAAAARZWg==',
  ],
  [
    'lzma',
    'XQAAgAD//////////wBAAQdL91yqSdIM6uhoilUjS5AActkaYiqgShHB8x903iHOj3KowNFXeOttA7ylViD4OC+b+Z4qQsk55+Si5ax6fp+96vACphj6EYaig4fzv+Yyw+gbLbSu2lWKknqoYLe0hic/aQcHPrxlgc3ZEoyhA3+EET9GOR0meZguW76PyNZhAoUjoJvf65E9qLt8603d0vTrbLngsildDyXntHLXBslWaJpqg1saD6McBbV14+qZcn3Ngppclj3bFKq3zEXeGy/YYY5pLuiMv6Sep5nA9Ak/rl9bXMbF1UmezPyo9aKQu3K6Y8N6XhlBusCJFYPPuVU4GTtjqR4y4maFP0oVJ+eUQGjbG232C0RBdxbAmWnIBVjK3zi6UFgvnI26Wye/HhamjBasY1rWOIpJ9F0+A8f5vYWLURQ9N9R2mJd/fDqN2JRwQG7iRobgGWGah+eD8yKNmPU4eul7Tl9n/hQg6P9AV9CG8zVlUpi5pcGyBiZ5awX7qSbNd6mY29lGgo7tx78D9aa82BXcNGeHhfYWyivBvocnaCtJHtpQYJJ0eQ2L89egN5EdVUQNU3eZlsAfCHp3Pz10czpsOAmZcXiaq9ezGO2JmtlZDI80cDc8vxXP6jcETsOwTWZBQEytPtHxeKz0zdtLeHzZ9PUy1t5E8HVznJgFN/bdUUEJCHMsK08856cMamBTxOgpT6wjuVm/L0eC19qo+8d///ta5kA=',
  ],
  [
    'lz4',
    'BCJNGGhAWRIAAAAAAABLKwYAAPgEgARdlCiMDGZlYXR1cmVfMDAwMA4AKDM3DgAnNzQOADgxMTEOACg0OA4AJzg1DgA4MjIyDgAoNTkOACc5Ng4AODMzMw4AGDeMACg0MIwAKDQ0jAAoNDiMACg1MYwAKDU1jAAoNTmMACg2MowAKDY2jAAoNzCMACg3NIwAKDc3jAAoODGMACg4NYwAKDg4jAAoOTKMACg5NowAKDk5jAAoMDOMACgwN4wAKDExjAAoMTSMACgxOIwAKDIyjAAoMjWMACgyOYwAKDMzjAAoMzaMACg0MIwAKDQ0jAAoNDiMACg1MYwAKDU1jAAoNTmMACg2MowAKDY2jAAoNzCMACg3M4wAKDc3jAAoODGMACg4NYwAKDg4jAAoOTKMACg5NowAKDk5jAAoMDOMACgwN4wAKDEwjAAoMTSMACgxOIwAKDIyjAAoMjWMACgyOYwAKDMzjAAoMzaMACg0MIwAKDQ0jAAoNDeMACg1MYwAKDU1jAAoNTmMACg2MowAKDY2jAAoNzCMACg3M4wAKDc3jAAoODGMACg4NIwAKDg4jAAoOTKMACg5NowAKDk5jAAoMDOMACgwN4wAKDEwjAAoMTSMACgxOIwAKDIxjAAoMjWMACgyOYwAKDMzjAAoMzaMACg0MIwAKDQ0jAAoNDeMACg1MYwAKDU1jAAoNTiMACg2MowAKDY2jAAZN3gFGTd4BRk3eAUZOHgFGTh4BRk4eAUZOXgFGTl4BRk5eAUZMHgFGTB4BRkxeAUZMXgFGTF4BRkyeAUZMngFGTJ4BRkzeAUZM3gFGTR4BRk0eAUZNHgFGTV4BRk1eAUZNXgFGTZ4BRk2eAUZNngFGTd4BRk3eAUZOHgFGTh4BRk4eAUZOXgFGTl4BRk5eAUZMHgFGTB4BRkxeAUZMXgFGTF4BRkyeAUZMngFGTJ4BRkzeAUZM3gFGTR4BRk0eAUZNHgFGTV4BRk1eAUZNXgFGTZ4BRk2eAUZNngFGTd4BRk3eAUZOHgFGTh4BRk4eAUZOXgFKDk11AMZOXgFGTB4BRkweAUZMXgFGTF4BRkxeAUZMngFGTJ4BRkyeAUZM3gFGTN4BRk0eAUZNHgFGTR4BRk1eAUZNXgFGTV4BRk2eAUZNngFGTZ4BRk3eAUZN3gFGTh4BRk4eAUZOHgFGTl4BRk5eAUZOXgFGTB4BRkweAUZMXgFGTF4BRkxeAUZMngFGTJ4BRkyeAUZM3gFGTN4BRk0eAUZNHgFGTR4BRk1eAUZNXgFGTV4BRk2eAUZNngFGTZ4BRk3eAUZN3gFGTh4BRk4eAUZOHgFGTl4BRk5eAUZOXgFGTB4BRkweAUZMXgFGTF4BRkxeAUZMngFGTJ4BRkyeAUZM3gFGTN4BRkzeAUZNHgFGTR4BRk1eAUZNXgFGTV4BRk2eAUZNngFGTZ4BRk3eAUZN3gFGTh4BRk4eAUZOHgFGTl4BRk5eAUZOXgFGTB4BRkweAUZMXgFGTF4BRkxeAUZMngFGTJ4BRkyeAUZM3gFGTN4BRkzeAUZNHgFGTR4BRk1eAUZNXgFGTV4BRk2eAUZNngFGTZ4BRk3eAUZN3gFGTh4BRk4eAUZOHgFGTl4BRk5eAUZOXgFGTB4BRkweAUZMXgFGTF4BRkxeAUZMngFGTJ4BRkyeAUZM3gFGTN4BRkzeAUZNHgFGTR4BRk1eAUZNXgFGTV4BRk2eAUZNngFGTZ4BRk38AoZN3gFGTh4BRk4eAUZOHgFGTl4BRk5eAUZOXgFGTB4Bf/PMDYzQ8h5Qr3yIQbwhHdi8PPLTXZNxwcgURWaD4nyxtrK40S7MRJF/W+E35rXxbPQdqwOj1OnNWyIkT8g9vctsCLSTQqW2tQ8FhfBqY54Ep4DJzcQZdCVhk8VraC4RsHA68U0itx5mt+Em60F1KEKwEQequ60tI76Cx8KvYDpmKNaul6gvYeZwTUNQ55xiXqnX94xNKSqcuBWKKxv5opzPRFhoV2OriuwQteViu2x1ZTW0RLTT2YC9N5xEOmTrnQikj19FxFl3BkG9j1XmUP/6AABAgDoAAECAOgAAQIADwDd8BJlMIwFcG9zaXiMBnN5c3RlbZOMCmVjaG8gSU5FUlSFUi4AAAAA',
  ],
  [
    '7z-lzma2',
    'N3q8ryccAAQGwrOYdwIAAAAAAAAVAAAAAAAAADCTtozgElgCGl0AQAEHS/dcqknSDOroaIpVI0uQAHLZGmIqoEoRwfMfdN4hzo9yqMDRV3jrbQO8pVYg+Dgvm/meKkLJOefkouWsen6fverwAqYY+hGGooOH87/mMsPoGy20rtpVipJ6qGC3tIYnP2kHBz68ZYHN2RKMoQN/hBE/RjkdJnmYLlu+j8jWYQKFI6Cb3+uRPai7fOtN3dL062y54LIpXQ8l57Ry1wbJVmiaaoNbGg+jHAW1dePqmXJ9zYKaXJY92xSqt8xF3hsv2GGOaS7ojL+knqeZwPQJP65fW1zGxdVJnsz8qPWikLtyumPDel4ZQbrAiRWDz7lVOBk7Y6keMuJmhT9KFSfnlEBo2xtt9gtEQXcWwJlpyAVYyt84ulBYL5yNulsnvx4WpowWrGNa1jiKSfRdPgPH+b2Fi1EUPTfUdpiXf3w6jdiUcEBu4kaG4Blhmofng/MijZj1OHrpe05fZ/4UIOj/QFfQhvM1ZVKYuaXBsgYmeWsF+6kmzXepmNvZRoKO7ce/A/WmvNgV3DRnh4X2Fsorwb6HJ2grSR7aUGCSdHkNi/PXoDeRHVVEDVN3mZbAHwh6dz89dHM6bDgJmXF4mqvXsxjtiZrZWQyPNHA3PL8Vz+o3BE7DsE1mQUBMrT7R8Xis9M3bS3h82fT1MtbeRPB1c5yYBTf23VFBCQhzLCtPPOenDGpgU8ToKU+sI7lZvy9HgtfaJmvyAAABAFABBAYAAQmCIgAHCwEAASEhARYMklkACAoBPQwUjAAABQEZAQARFQBtAG8AZABlAGwALgBwAGsAbAAAABQKAQDA/0sPU3ndARUGAQAggICBAAAAFwaCIgEJVQAHCwEAASEhARgMUQAA',
  ],
  [
    '7z-lzma',
    'N3q8ryccAARa+LjbfQIAAAAAAAAVAAAAAAAAAIxl+EgAQAEHS/dcqknSDOroaIpVI0uQAHLZGmIqoEoRwfMfdN4hzo9yqMDRV3jrbQO8pVYg+Dgvm/meKkLJOefkouWsen6fverwAqYY+hGGooOH87/mMsPoGy20rtpVipJ6qGC3tIYnP2kHBz68ZYHN2RKMoQN/hBE/RjkdJnmYLlu+j8jWYQKFI6Cb3+uRPai7fOtN3dL062y54LIpXQ8l57Ry1wbJVmiaaoNbGg+jHAW1dePqmXJ9zYKaXJY92xSqt8xF3hsv2GGOaS7ojL+knqeZwPQJP65fW1zGxdVJnsz8qPWikLtyumPDel4ZQbrAiRWDz7lVOBk7Y6keMuJmhT9KFSfnlEBo2xtt9gtEQXcWwJlpyAVYyt84ulBYL5yNulsnvx4WpowWrGNa1jiKSfRdPgPH+b2Fi1EUPTfUdpiXf3w6jdiUcEBu4kaG4Blhmofng/MijZj1OHrpe05fZ/4UIOj/QFfQhvM1ZVKYuaXBsgYmeWsF+6kmzXepmNvZRoKO7ce/A/WmvNgV3DRnh4X2Fsorwb6HJ2grSR7aUGCSdHkNi/PXoDeRHVVEDVN3mZbAHwh6dz89dHM6bDgJmXF4mqvXsxjtiZrZWQyPNHA3PL8Vz+o3BE7DsE1mQUBMrT7R8Xis9M3bS3h82fT1MtbeRPB1c5yYBTf23VFBCQhzLCtPPOenDGpgU8ToKU+sI7lZvy9HgtfaqPvHf//7WuZAAQBYAQQGAAEJgiAABwsBAAEjAwEBBV0AAIAADJJZAAgKAT0MFIwAAAUBGQMAAAARFQBtAG8AZABlAGwALgBwAGsAbAAAABQKAQBARE8PU3ndARUGAQAggICBAAAAFwaCIAEJXQAHCwEAASEhARgMWQAA',
  ],
  [
    '7z-bcj',
    'N3q8ryccAARAdskl1gIAAAAAAAAVAAAAAAAAAGJUWEjgElgCbF0AQAEHS/dcqknSDOroaIpVI0uQAHLZGmIqoEoRwfMfdN4hzo9yqMDRV3jrbQO8pVYg+Dgvm/meKkLJOefkouWsen6fverwAqYY+hGGooOH87/mMsPoGy20rtpVipJ6qGC3tIYnP2kHBz68ZYHN2RKMoQN/hBE/RjkdJnmYLlu+j8jWYQKFI6Cb3+uRPai7fOtN3dL062y54LIpXQ8l57Ry1wbJVmiaaoNbGg+jHAW1dePqmXJ9zYKaXJY92xSqt8xF3hsv2GGOaS7ojL+knqeZwPQJP65fW1zGxdVJnsz8qPWikLtyumPDel4ZQbrAiRWDz7lVOBk7Y6keMuJmhT9KFSfnlEBo2xtt9gtEQXcWwJlpyAVYyt84ulBYL5yNulsnvx4WpowWrGNa1jiKSfRdPgPH+b2Fi1EUPTfUdpiXf3w6jdiUcEBu4kaG4Blhmofng/MijZj1OHrpe05fZ/4UIOj/QFfQhvM1ZVKYuaXBsgYmeWsF+6kmzXepmNvZRoKO7ce/A/WmvNgV3DRnh4X2Fsorwb6HJ2grSR7aUGCSdHkNi/PXoDeRHVVEDVN3mZbAHwh6dz89dHM6bDgJmXF4mqvXsxjtiZrZWQyPNHA3PL8Vz+o3BE7DsE1mQUBMrT7R8Xis9M3bS3h82fT1Mte+3T4lCpMxRYli4KioGTHzcKB50vIrLhPwGBSPHML8IeT/0vrDgfyc/GcHzTbt1Tu4PZdiFkWdsTzXTUwbcmKUh32kbCrcfg72ZIQprEz/HrziHZBG+U9BtjjwsOpDGPglHjaBECYUsG8HapM9RdI9TOM78+tTaom9kcCz1eAA4ABcAFpdAACBMweuD9VFZF4XJNHP4/dk0Rznb9eAVsbaQ8i6AGZeoDVtM83fqUGlHlV3txW2VOGmp85YvAhOZ1ZI6nFg/mDgIa+H1lgFnGevJdtvg+SseIOAMWINAAAAAAAXBoJ0AQliAAcLAQABISEBGAxdAAA=',
  ],
  [
    '7z-zstd',
    'N3q8ryccAATCz5aytwAAAAAAAAAVAAAAAAAAAI77qFootS/9AFiRAQCABJUlAAAAAAAAAIwFcG9zaXiUjAZzeXN0ZW2Uk5SMCmVjaG8gSU5FUlSUhZRSlC57feAAggB0XQAAgTMHrg/Rp0+UoJCgd9ud3i83lwz4/ZIqWl5OENOkQ5MAUZ0Bq4rtHU47F1zVhmD7ZdsgnnzBzjexo63nBJ0n5rcBkjm8+gjfc8A6+484ET+YbVzvuk8tnG68Y/2qU0sW6qokaRaLlorN7T30kL1brQAAAAAXBjsBCXwABwsBAAEhIQEYDICDAAA=',
  ],
  [
    '7z-brotli',
    'N3q8ryccAARJrAMnrAAAAAAAAAAUAAAAAAAAABYGqMyLGICABJUlAAAAAAAAAIwFcG9zaXiUjAZzeXN0ZW2Uk5SMCmVjaG8gSU5FUlSUhZRSlC57feAAegBvXQAAgTMHrg/RTICooJCgd9ud3i8/80tgqu7iJVBM5hFT6DgaK0tIHUxRLVzgmL60OobQij4g27JTKOptT5P0XvGQxXeimcGmAw9BXrhd3ocKFA3pVBO7m6JNmOcibOGjNaSX37NGgadTBfPwiRwAAAAAFwY1AQl3AAcLAQABISEBGAx7AAA=',
  ],
  [
    '7z-delta',
    'N3q8ryccAAS8F4oCswAAAAAAAAAVAAAAAAAAACD668MBADGAhJGQ2wAAAAAAAIx5a/8E9g8c+HptBvoB8Qgn/wH4flv+BQexKQX3DQJA8Q++QppNAgDgAIIAdV0AAIEzB64P0VujJKCKabC54UnW/hmuqHySN8nXvPgH1diYO90dVS67uJKOke1tmYKeOVfaN7A2zzazjwbHcxkBMubp93kAnOiZPQyR/wudiUPj8Sy7R2j/K3cTf6twFqTyNky0M6eaH/OCsK91Y1bercLkAAAAABcGNgEJfQAHCwEAASEhARgMgIMAAA==',
  ],
  [
    '7z-arm',
    'N3q8ryccAAS8F4oCswAAAAAAAAAVAAAAAAAAACD668MBADGABJUlAAAAAAAAAIwFcG9zaXiUjAZzeXN0ZW2Uk5SMCmVjaG8gSU5FUlSUhZRSlC57fQDgAIIAdV0AAIEzB64P0VujJKCKabC54UnJoZZHfshEPbUYTRfXKwvdc9/9nxiPSvwZvii2TvUX1ULKLIgKiGTgRNnb0Hbc8iDdUhjb1LuWH0dmhcQaQCBWu2ll5/7nY0nLn5D5rWXJbwk3Lv6+4meRAFtzAyTTaWrAAAAAABcGNgEJfQAHCwEAASEhARgMgIMAAA==',
  ],
]);
/** 300 bytes of branch instructions of every machine, behind each filter of XZ Utils 5.4.1. */
const BRANCHES: Buffer = Buffer.from(
  'N53Kl+ZlUZDoGBjrXeLo66MAFuvf41yU3SEP62cWLpAexvqQCuaV69fsC+vUvJ2QRxXfkKjt0Ou/45TrZR+HkLZA6JAq1sWQ3OEbl56asZeHvUzrTPGy64F0M5UXuF+VSSbZKUh45j1AFeQ+f/2RuH/jt4NAOAfUf9ZpUkAlHQBANcIISeV6CUAuy1B//47if9I20EA4xURAPDOWQCcZTkAN9x1AL0FYQDqtHUAKpb5KMqBhf/dLhUAtNZpKuxvBNfGp+GjxNfnb8UT93fEY+OHzpv629HX5GvJB+gjwKvla80b89PLg/If0jPqf9wH56KcAAADpawAAAOlnAAAA6MEAAADpE////+gY////6JcAAADoRP///+kJ////6NT+///o+QAAAOhIAAAA',
  'base64',
);
const FILTERED: readonly (readonly [filter: string, xz: string])[] = [
  [
    'x86',
    '/Td6WFoAAAD/EtlBAgEEACEBHACHbtrl4AErASddABunVUl3ZLvRDcIrStW+ckX/5jrlQPXtZmUSuNdGex3NakeDbRXXqdsk5BZ0pYF7bFgZfpFCuBeMp+yLGT/zG8pkX9MeL0DpUAad+582q+mjY4K1gdskniCAGTC1o/SlJwjkihg2qlSPfFxl2IPmFjzSXVHrbUVcMzIwpX/8IWpJwYOx6DpdDZ+b480W+rjdbAK6cIXtsJ/GD/3qWuc2mOE//0zA4nF8lW/+17vS0h2fvl31C+o5XNsZ0+HfnsncwyytBSv66TCYitQ+qLEwd7PAXWEpvAGz94DOY/3edxh2vTmxR2L6ZwBk2bZArqXeeZTX8gTI1Cnq/JoWyGUIlbtWqMOavTq5gTfMxi6QObSOEOb+2IJPvTJepfFW82jLpWshGEsZgAAAAAABuwKsAgAA2BahzagACvwCAAAAAABZWg==',
  ],
  [
    'powerpc',
    '/Td6WFoAAAD/EtlBAgEFACEBHAAivYYu4AErASNdABunVUl3ZLvRDcIrStW+ckX/5jrlQPXtZmUSuNdGex3NakeDbRXXqdsk5BZ0pYF7bFgZfpFCuBeMp+yLGT/zG8pkX9MeL0DpUAad+582q+mjY4K1gdskniCAGTC1o/SlJwjkihg2qlSPfFyblztASZtuVnk5kD08rkOluv0QkR5n7xsysREa2n0SdghloBYmDaErQsooLRX1sJSa8yUoWLCjdbY2T3ewuu5zJzKpveFM+HuaB2gAtnxE9R+zQclMw2zUTSlT6QL6YrMiMrTFrDSvy4wuA0JO5EJcyes8+wUxEjWb35vBtuIjnM5kEsmGw3quYAf7HIpITnlxjjtc+zygb0PLpkDTbEjiZhoW+aKYmxr83XhvEER33zD+asBDBX9WRAAAAAG3AqwCAACj1mO6qAAK/AIAAAAAAFla',
  ],
  [
    'arm',
    '/Td6WFoAAAD/EtlBAgEHACEBHAApHE5j4AErASNdABunVUl3ZLvRDcT0ytXF6NNeES217S3SktXTAV4fiw7d8bRQbBMlt2IcWvYyyNS8wJkrgl98SA+RQoz55WD6xQwkTa8p36sT7WBsgeJZfkXGVnsXv/7E5b99QGOe2fWfeBY9hoholL9g4OcxrqvR/GncBh8uENiXHhlSFmDHEqN6hbvIwMmPmfyzGSoES7QF5gbAXANDX+SmFr9K80txBreteKw0WI6blpJL9lk83Z9vJec5EBURRTDaXhmf9Mh0TLfLGSJiboipPCIvScrs8AkUYIRed83o76n9/orsQZbBhQ6brqPy+7j2IPgPJutEOq8cb1Rj8TxqtI6l4wXr2X+Za0n1NEqZ9o9sRocF4guJczgyWlIrl7NHOf4SNNuWjEd3gAAAAAG3AqwCAACj1mO6qAAK/AIAAAAAAFla',
  ],
  [
    'armthumb',
    '/Td6WFoAAAD/EtlBAgEIACEBHAD8rhiS4AErASNdABunVUl3ZLvRDcIrStW+ckX/5jrlQPXtZmUSuNdGex3NakeDbRXXqdsk5BZ0pYF7bFgZfpFCuBeMp+yLGT/zG8pkX9MeL0DpUAad+582q+mjY4K1gdskniCAGTC1o/SlJwjkihg2qlSPfFxl2IPmFjzSXVHrbUVcMzIwpX/8IWpJwYOx6DpdDZ+b480W+rjdbAK6cIXtsJ/GD/3qWuc2mOE//0zA4nF8lW/+17vS0h2fvl31C+o5XNsZ0+HfnsncwyytBSv66TCYitQ+qJAK8C5jaN2EQ2J6xp5q/Etd86bwxQ8s9VeIn8wduuG83baBbgcqMla35YjPwLmxw2Z/SZcl8x0ALeF7MQA2652lEJUu/Mzfz8viuWvvT0aN8AenkqQX4AAAAAG3AqwCAACj1mO6qAAK/AIAAAAAAFla',
  ],
  [
    'sparc',
    '/Td6WFoAAAD/EtlBAgEJACEBHABZfURZ4AErASNdABunVUl3ZLvRDcIrStW+ckX/5jrlQPXtZmUSuNdGex3NakeDbRXXqdsk5BZ0pYF7bFgZfpFCuBeMp+yLGT/zG8pkX9MeL0DpUAad+582q+mjY4K1gdskniCAGTC1o/SlJwjkihg2qlSPfFxl2IPmFjzSXVL8pY7j3ZFaHtL9KhHdxfYbBBzifCBaD+0SLWX0WYxt8eFTGRMpelqRCPbM0K1ZyUKrQufaNt5xMZNcxYyH2kdOTLuRzGfNr0o3WyXIxxX9GEev+ZtaGUSlyXIwLNYXwDCsou3lEM7JPz5R/Qh3v5I1hkY+tp8ux361wni8xli9TD0qeF7i/piiCokQ4GSjdV/FLwff/wbbbPV4FCF0s0yTT+Y4Enq0gv27CpKVS1iz4AAAAAG3AqwCAACj1mO6qAAK/AIAAAAAAFla',
  ],
  [
    'arm64',
    '/Td6WFoAAAD/EtlBAgEKACEBHAD3D9Df4AErASddABunVUl3ZLvRDcIrStW+ckX/5jrlQPX7HtKSP7JvxuhU/OLDNZP0SGFqHZNGb6xFLSZmBYAdGJpLtXK/lUtXZ0OSalkasKS1wKntJhP8n3n1CFxRQW2LR1G3qHYq5U7OM3uPCH+gUWK1dXjfZ2YMf9TdhXCx0rDxBjvtem7acA4N2nFD+bwgMzYJSH1qwT3jr6ygFATwk+GTQQHEn5No0YXqqkudMhhCadlekbX7MGo139b2BTc0T3okUcB6qov1qSqISQP3DO76oRCgA8jGEaVECRR6e2PwwKV9ZwqU7uVZ4h74S4sREMmPJdW98UaXZmt+avHfjd6dtZ4KFeb6itMTCxFf1FswLZgXxCQoitmoTqVxvzAjRquLyiwxi3EknqyiMHLfD4AAAAABuwKsAgAA2BahzagACvwCAAAAAABZWg==',
  ],
  [
    'delta and x86',
    '/Td6WFoAAAD/EtlBAwIDAQIEACEBHAAAtRogTwEBKzedymBJm7qqg8eIA0XK/Y7BGCtI381xtfrFew5GB0MpCJhqckTsBeHxVyAU6LGyvIt4T0mTDkBD0hOpLIKLnCuXuVja6u41ZgYci7u9fxr57Qy1ZI+lx5+QwkgUo4XKfpHHROAin731yC+n/moZUzmCUv8EXYGElEfPldNqvMvAGxjCyBQjcsBbtMIQUTQ+Y4BEVFFuAvUECHfvVgT0gw4Z9KndMzgkGBH5Vd0GXYh+QI3iF01X6gZJ4rBaHYaBd3rW6MN3SD2R6rxLIuytGxvw264dw053QyZ9SOAWrzDxaslNogGs5AiVFJBzq2sHWvGmBxhZ6WsAF5XpZwAXmejBABg/6RP/FuzpGQAX5+mYARhp6ET/F7vqCgAW9unV/xcr6voBGAfoSAAYuAAAAcACrAIAANrrRKyoAAr8AgAAAAAAWVo=',
  ],
];
/** The same pickle with a dictionary of 4 KiB, and a stream of one byte with one of 8 MiB. */
const TURNING =
  '/Td6WFoAAAD/EtlBAgAhAQAAAAA3J5fW4BJYAhpdAEABB0v3XKpJ0gzq6GiKVSNLkABy2RpiKqBKEcHzH3TeIc6PcqjA0Vd4620DvKVWIPg4L5v5nipCyTnn5KLlrHp+n73q8AKmGPoRhqKDh/O/5jLD6BsttK7aVYqSeqhgt7SGJz9pBwc+vGWBzdkSjKEDf4QRP0Y5HSZ5mC5bvo/I1mEChSOgm9/rkT2ou3zrTd3S9OtsueCyKV0PJee0ctcGyVZommqDWxoPoxwFtXXj6plyfc2CmlyWPdsUqrfMRd4bL9hhjmku6Iy/pJ6nmcD0CT+uX1tcxsXVSZ7M/Kj1opC7crpjw3peGUG6wIkVg8+5VTgZO2OpHjLiZoU/ShUn55RAaNsbbfYLREF3FsCZacgFWMrfOLpQWC+cjbpbJ78eFqaMFqxjWtY4ikn0XT4Dx/m9hYtRFD031HaYl398Oo3YlHBAbuJGhuAZYZqH54PzIo2Y9Th66XtOX2f+FCDo/0BX0IbzNWVSmLmlwbIGJnlrBfupJs13qZjb2UaCju3HvwP1przYFdw0Z4eF9hbKK8G+hydoK0ke2lBgknR5DYvz16A3kR1VRA1Td5mWwB8Ienc/PXRzOmw4CZlxeJqr17MY7Yma2VkMjzRwNzy/Fc/qNwROw7BNZkFATK0+0fF4rPTN20t4fNn09TLW3kTwdXOcmAU39t1RQQkIcywrTzznpwxqYFPE6ClPrCO5Wb8vR4LX2iZr8gAAAAAAAa4E2SQAAKwa23GoAAr8AgAAAAAAWVo=';
const TINY = '/Td6WFoAAAD/EtlBAgAhARYAAAB0L+WjAQAAYQAAAAAAAREBraZYBAZynnoBAAAAAABZWg==';
const DECODERS: ReadonlyMap<string, (input: Input, output: Output) => void> = new Map([
  ['bzip2', decodeBzip2],
  ['xz', decodeXz],
  ['lzma', decodeLzmaAlone],
  ['lz4', (input, output) => decodeLz4(input, output, [])],
]);

function vector(name: string): Buffer {
  return Buffer.from(VECTORS.get(name) ?? '', 'base64');
}

function output(): Output {
  return new Output(new Piece(new Scan(DEFAULT_LIMITS, 2 ** 20), bufferSource(Buffer.alloc(0)), 'test', 0, 0), 1_000_000);
}

function digest(out: Output): string {
  const source = out.source();
  return createHash('sha256').update(source.read(0, source.size)).digest('hex');
}

describe('decoders', () => {
  for (const [name, decode] of DECODERS) {
    it(`${name} gives back what the reference implementation compressed`, () => {
      using out = output();
      decode(new Input(bufferSource(vector(name))), out);
      assert.equal(digest(out), SHA256);
    });
    it(`${name} cut at any byte is damaged or short, and nothing else`, () => {
      const whole = vector(name);
      for (let length = 0; length < whole.length; length += 7) {
        using out = output();
        try {
          decode(new Input(bufferSource(whole.subarray(0, length))), out);
        } catch (error) {
          assert.ok(error instanceof Damaged, String(error));
        }
        assert.ok(out.size <= 4697);
      }
    });
    it(`a pickle in ${name} is scanned`, async () => {
      const report = await scanBytes(vector(name));
      assert.equal(report.verdict, 'malicious');
      assert.equal(report.format, name);
      assert.ok(rulesOf(report).includes('pickle-dangerous-call'));
    });
  }
  for (const name of [...VECTORS.keys()].filter((key) => key.startsWith('7z'))) {
    it(`a pickle in ${name} is scanned`, async () => {
      const report = await scanBytes(vector(name));
      assert.deepEqual([report.format, report.verdict], ['7z', 'malicious']);
    });
  }
  for (const [filter, xz] of FILTERED) {
    it(`the filter ${filter} is taken off`, () => {
      using out = output();
      decodeXz(new Input(bufferSource(Buffer.from(xz, 'base64'))), out);
      assert.ok(BRANCHES.equals(out.source().read(0, 1000)));
    });
  }
  it('a dictionary that is shorter than the content turns', () => {
    using out = output();
    decodeXz(new Input(bufferSource(Buffer.from(TURNING, 'base64'))), out);
    assert.equal(digest(out), SHA256);
  });
  it('streams of a few bytes, each with a dictionary of mebibytes, end at the limit on steps', async () => {
    const xz = Buffer.from(TINY, 'base64');
    const report = await scanBytes(Buffer.concat(Array.from({ length: 120_000 }, () => xz)));
    assert.equal(report.verdict, 'inconclusive');
    assert.ok(rulesOf(report).includes('limit-work'));
  });
  it('frames to be skipped stand before zstd and lz4, of any length', async () => {
    const skipped = Buffer.from('512a4d1807000000010203040506075f2a4d1800000000', 'hex');
    for (const packed of [vector('lz4'), zstdCompressSync(EVIL)])
      assert.equal((await scanBytes(Buffer.concat([skipped, packed]))).verdict, 'malicious');
  });
  it('what node:zlib decompresses, small and in a stream', async () => {
    for (const size of [100, 3_000_000]) {
      const plain = Buffer.from(Array.from({ length: size }, (_, index) => (index * index) % 251));
      for (const [kind, compress] of [
        ['raw', deflateRawSync],
        ['zstd', zstdCompressSync],
      ] as const) {
        using out = output();
        const packed = compress(plain);
        assert.equal(await decodeZlib(kind, bufferSource(packed), out), packed.length);
        assert.ok(plain.equals(out.source().read(0, size + 1)));
      }
      using out = output();
      const two = Buffer.concat([gzipSync(plain), gzipSync(plain), Buffer.from('tail')]);
      assert.equal(await decodeGzip(bufferSource(two), out), two.length - 4);
      assert.equal(out.size, 2 * size);
    }
  });
});
