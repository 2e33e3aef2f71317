import { describe, expect, test } from 'vitest'
import { createStreamWire } from '../../../src/features/gateway/wire.ts'
import { chunksOf, delta, events, NAMING } from './spoken.ts'

type Json = Record<string, any>
const USAGE = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
const BILLED = { ...USAGE, cost: 0.005 }

/** What a client of a stream gets, as objects. */
function streamed(upstream: string, wantsUsage = false): Json[] {
  const wire = createStreamWire(NAMING)
  const texts = chunksOf(upstream).flatMap(wire.take)
  return [...texts, ...wire.end(wantsUsage ? BILLED : undefined)].map((text) => JSON.parse(text))
}
const choicesOf = (chunks: Json[]) => chunks.flatMap(({ choices }) => choices as Json[])

describe('a stream on its way to the client', () => {
  test('keeps all that the upstream said, under our id and name', () => {
    const odd = {
      ...delta(
        { role: 'assistant', content: 'Hi', annotations: [{ a: 1 }], custom: { deep: [null, 1.5] } },
        { logprobs: { content: [] } },
      ),
      system_fingerprint: 'fp',
      x_vendor: { anything: true },
    }
    expect(streamed(events(odd))).toEqual([{ ...odd, id: NAMING.id, model: NAMING.model }])
  })

  test('fills in what is missing, and "" and 0 are missing', () => {
    const [empty, bare] = streamed(
      events(
        { id: '', object: '', created: 0, model: '', choices: [{ index: 0, delta: { content: 'a' } }] },
        { choices: [{ delta: { content: 'b' } }, { delta: { content: 'c' } }] },
      ),
    )
    expect(empty).toMatchObject({ ...NAMING, object: 'chat.completion.chunk' })
    expect(bare).toMatchObject({ ...NAMING, object: 'chat.completion.chunk' })
    expect(choicesOf([bare!]).map(({ index }) => index)).toEqual([0, 1])
    // Each choice begins with its role: clients that put a stream together want one.
    const roles = choicesOf([empty!, bare!]).map((choice) => choice.delta.role)
    expect(roles).toEqual(['assistant', undefined, 'assistant'])
  })

  test('a choice without a delta gets an empty one, legacy text becomes content', () => {
    const said = streamed(
      events(
        { choices: [{ index: 0, text: 'old' }] },
        { choices: [{ index: 0, finish_reason: 'content_filter', content_filter_results: { a: 1 } }] },
      ),
    )
    expect(choicesOf(said)).toEqual([
      { index: 0, text: 'old', delta: { role: 'assistant', content: 'old' } },
      { index: 0, delta: {}, finish_reason: 'content_filter', content_filter_results: { a: 1 } },
    ])
  })

  test('tool calls get the index that the upstream left out, and keep the one that it gave', () => {
    const call = (id: string | undefined, args: string, more: object = {}) => ({
      ...(id === undefined ? {} : { id }),
      type: 'function',
      function: { ...(id === undefined ? {} : { name: 'f' }), arguments: args },
      ...more,
    })
    const said = streamed(
      events(
        delta({ tool_calls: [call('a', '{'), call('b', '{')] }),
        delta({ tool_calls: [call(undefined, '}')] }),
        delta({ tool_calls: [call('a', '}')] }),
        delta({ tool_calls: [call('c', '{}'), call('d', '{}', { index: 7 })] }),
      ),
    )
    const indexes = choicesOf(said).map((choice) => choice.delta.tool_calls.map((each: Json) => each.index))
    expect(indexes).toEqual([[0, 1], [1], [0], [2, 7]])
  })

  test('the usage comes last and only to who asked, with every member and the cost', () => {
    const upstream = events(
      { ...delta({ content: 'Hi' }), usage: null },
      { ...delta({ content: '' }, { finish_reason: 'stop' }) },
      { id: 'theirs', choices: [], provider: 'somewhere', usage: { ...USAGE, cost: 9, queue_time: 0.1 } },
    )
    expect(streamed(upstream)).toHaveLength(2)
    const last = streamed(upstream, true).at(-1)
    expect(last).toEqual({
      ...NAMING,
      created: 5,
      object: 'chat.completion.chunk',
      provider: 'somewhere',
      choices: [],
      usage: BILLED,
    })
    // Chunks without choices that report no usage are something else, and stay.
    const filters = { choices: [], prompt_filter_results: [{ prompt_index: 0 }] }
    expect(streamed(events(filters, delta({ content: 'x' })))[0]).toMatchObject(filters)
  })

  test('finds what was reported last, wherever it stands', () => {
    const reported = (...objects: object[]) => {
      const wire = createStreamWire(NAMING)
      chunksOf(events(...objects)).forEach(wire.take)
      return wire.usage()
    }
    const more = { ...USAGE, total_tokens: 6 }
    expect(reported({ ...delta({}), usage: USAGE }, { ...delta({}), usage: more }, delta({}))).toEqual(more)
    expect(reported(delta({}, { usage: USAGE }))).toEqual(USAGE)
    expect(reported({ ...delta({}), x_groq: { usage: { ...USAGE, queue_time: 1 } } })).toEqual({
      ...USAGE,
      queue_time: 1,
    })
    expect(reported({ ...delta({}), usage: {} })).toBeUndefined()
  })

  test('a whole completion in answer to a stream becomes a chunk', () => {
    const message = {
      role: 'assistant',
      content: 'Hi',
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
    }
    const whole = {
      id: 'theirs',
      object: 'chat.completion',
      created: 5,
      choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
      usage: USAGE,
    }
    const [chunk] = streamed(JSON.stringify(whole))
    expect(chunk).toMatchObject({ id: NAMING.id, object: 'chat.completion.chunk', created: 5 })
    expect(chunk?.choices).toEqual([
      {
        index: 0,
        logprobs: null,
        finish_reason: 'stop',
        delta: { ...message, tool_calls: [{ ...message.tool_calls[0], index: 0 }] },
      },
    ])
  })

  test('a cumulative message beside the deltas is no delta', () => {
    const said = streamed(
      events(
        { choices: [{ index: 0, delta: { content: 'Hi' }, message: { content: 'Hi' } }] },
        { choices: [{ index: 0, message: { content: 'Hi' }, finish_reason: 'stop' }] },
      ),
    )
    expect(choicesOf(said).map((choice) => choice.delta)).toEqual([{ role: 'assistant', content: 'Hi' }, {}])
  })

  test('the words of an error never pass', () => {
    const said = streamed(
      events(
        { ...delta({ content: 'Hi' }), error: { message: 'sk-secret of 10.0.0.1' } },
        delta({ content: 'never' }),
      ),
    )
    expect(said).toHaveLength(1)
    expect(JSON.stringify(said)).not.toMatch(/secret|error|never/)
  })

  test('characters that were cut in two are whole again; what is none is U+FFFD', () => {
    const [high, low] = ['\ud83d', '\ude42']
    const args = (text: string) => delta({ tool_calls: [{ index: 1, function: { arguments: text } }] })
    const said = streamed(
      events(
        delta({ content: `a${high}`, reasoning: 'r\0' }),
        args(`"${high}`),
        delta({ content: `${low}b` }),
        args(`${low}"`),
        delta({ content: `${high}c${low}` }),
        delta({ content: `d${high}` }, { finish_reason: 'stop' }),
      ),
    )
    const deltas = choicesOf(said).map((choice) => choice.delta)
    expect(deltas.map((each) => each.content ?? '').join('')).toBe('a🙂b\uFFFDc\uFFFDd\uFFFD')
    expect(deltas[0].reasoning).toBe('r\uFFFD')
    const parts = deltas.flatMap((each) => each.tool_calls ?? [])
    expect(parts.map((each: Json) => each.function.arguments).join('')).toBe('"🙂"')
    expect(JSON.stringify(said).isWellFormed()).toBe(true)
  })
})
