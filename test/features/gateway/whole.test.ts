import { describe, expect, test } from 'vitest'
import { createWhole } from '../../../src/features/gateway/whole.ts'
import { chunksOf, delta, events, NAMING } from './spoken.ts'

const BILLED = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, cost: 0.005 }

function whole(upstream: string, broken?: Record<string, unknown>): Record<string, any> {
  const answer = createWhole(NAMING)
  chunksOf(upstream).forEach(answer.take)
  return answer.completion(BILLED, broken)
}

describe('a whole answer on its way to the client', () => {
  test('keeps all that the upstream said, under our id and name', () => {
    const given = {
      id: 'theirs',
      object: 'chat.completion',
      created: 5,
      model: 'their-model',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'a\0', annotations: [] },
          logprobs: { content: [{ token: 'a' }] },
          finish_reason: 'stop',
        },
        { message: { role: 'assistant', content: 'b', reasoning: 'r' }, finish_reason: 'length' },
      ],
      usage: { prompt_tokens: 1 },
      service_tier: 'default',
      citations: ['x'],
    }
    const said = whole(JSON.stringify(given))
    expect(said).toEqual({
      ...given,
      id: NAMING.id,
      model: NAMING.model,
      choices: [
        { ...given.choices[0], message: { ...given.choices[0]!.message, content: 'a\uFFFD' } },
        { ...given.choices[1], index: 1 },
      ],
      usage: BILLED,
    })
  })

  test('is put together from a stream', () => {
    const call = (index: number, said: object) => delta({ tool_calls: [{ index, ...said }] })
    const said = whole(
      events(
        { ...delta({ role: 'assistant', content: '' }), system_fingerprint: 'fp' },
        delta({ reasoning_content: 'hm ' }),
        delta({ reasoning_content: 'yes', content: null }),
        delta({ content: 'He' }, { logprobs: { content: [{ token: 'He' }], refusal: null } }),
        delta({ content: 'llo' }, { logprobs: { content: [{ token: 'llo' }] } }),
        call(0, { id: 'a', type: 'function', function: { name: 'sum', arguments: '{"a"' } }),
        call(1, { id: 'b', type: 'function', function: { name: 'f', arguments: '' } }),
        call(0, { id: null, function: { arguments: ':1}' } }),
        call(1, { function: { arguments: '{}' } }),
        { ...delta({}, { finish_reason: 'tool_calls' }), usage: { prompt_tokens: 1 } },
        { choices: [{ index: 1, delta: { content: 'other' }, finish_reason: 'stop' }] },
      ),
    )
    expect(said).toEqual({
      ...NAMING,
      created: 5,
      object: 'chat.completion',
      system_fingerprint: 'fp',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          logprobs: { content: [{ token: 'He' }, { token: 'llo' }], refusal: null },
          message: {
            role: 'assistant',
            content: 'Hello',
            reasoning_content: 'hm yes',
            tool_calls: [
              { id: 'a', type: 'function', function: { name: 'sum', arguments: '{"a":1}' } },
              { id: 'b', type: 'function', function: { name: 'f', arguments: '{}' } },
            ],
          },
        },
        { index: 1, finish_reason: 'stop', logprobs: null, message: { role: 'assistant', content: 'other' } },
      ],
      usage: BILLED,
    })
  })

  test('typed parts and strings of one stream stay in order', () => {
    const thinking = { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }
    const said = whole(
      events(delta({ content: 'a' }), delta({ content: [thinking] }), delta({ content: 'b' })),
    )
    expect(said.choices[0].message.content).toEqual([
      { type: 'text', text: 'a' },
      thinking,
      { type: 'text', text: 'b' },
    ])
  })

  test('what broke off says so where no reason is', () => {
    const broken = { finish_reason: 'error', error: { message: 'broke off' } }
    const said = whole(
      events(delta({ content: 'a' }), {
        choices: [{ index: 1, delta: { content: 'b' }, finish_reason: 'stop' }],
      }),
      broken,
    )
    expect(said.choices).toMatchObject([broken, { index: 1, finish_reason: 'stop' }])
    expect(said.choices[1]).not.toHaveProperty('error')
  })
})
