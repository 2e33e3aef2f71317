// What is taken from an answer: words, usage, ends. The recordings show what was seen; this is what may come.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAnswer } from '../../../src/ports/upstream/answer.ts'
import type { UpstreamUsage } from '../../../src/ports/upstream/port.ts'
import { readUsage } from '../../../src/ports/upstream/usage.ts'
import { collect, fakeFetch, type Got, requestOf, says, sse } from './feed.ts'

function read(...pieces: string[]): Promise<Got> {
  return collect(requestOf(fakeFetch({ pieces }).fetch))
}

function readDelta(delta: unknown): Promise<Got> {
  return read(sse({ choices: [{ delta }] }), 'data: [DONE]\n\n')
}

describe('words', () => {
  it.each<[string, unknown, string, string]>([
    ['a string', { content: 'a' }, 'a', ''],
    ['null', { content: null }, '', ''],
    [
      'parts',
      { content: [{ type: 'text', text: 'a' }, 'b', { type: 'output_text', text: 'c' }, null, 7] },
      'abc',
      '',
    ],
    [
      'thinking, nested',
      { content: [{ type: 'thinking', thinking: [{ text: 't' }, 'u'] }, { text: 'a' }] },
      'a',
      'tu',
    ],
    ['thinking, flat', { content: [{ type: 'thinking', thinking: 't' }] }, '', 't'],
    ['both reasoning fields', { reasoning_content: 'r', reasoning: 'r' }, '', 'r'],
    ['an empty and a full one', { reasoning_content: '', reasoning: 'r', content: '' }, '', 'r'],
    ['details beside the field', { reasoning: 'r', reasoning_details: [{ text: 'r' }] }, '', 'r'],
    ['details alone', { reasoning_details: [{ text: 'r' }, { summary: 's' }, { data: 'enc' }] }, '', 'rs'],
    ['a refusal', { refusal: 'No.', content: null }, 'No.', ''],
    ['wrong types', { content: 5, reasoning: {}, tool_calls: 'x' }, '', ''],
  ])('%s', async (_, delta, text, reasoning) => {
    const got = await readDelta(delta)
    expect([got.text, got.reasoning]).toEqual([text, reasoning])
    expect(got.chunks[0]!.produced).toBe(text + reasoning !== '')
    expect(got.end).toMatchObject({ done: true, finishReason: null })
    expect(got.end.fault).toBeUndefined()
  })

  it('ignores what stands beside a delta, but reads it where no delta is', async () => {
    const beside = { message: { content: 'all' }, text: 'legacy', delta: { content: 'a' } }
    expect((await read(sse({ choices: [beside] }), 'data: [DONE]\n\n')).text).toBe('a')
    expect((await read(sse({ choices: [{ text: 'legacy', finish_reason: 'stop' }] }))).text).toBe('legacy')
    const whole = {
      object: 'chat.completion',
      choices: [{ message: { content: 'all' }, finish_reason: 'stop' }],
    }
    expect((await read(sse(whole), 'data: [DONE]\n\n')).text).toBe('all')
    // A summary of what was already said is not said again.
    expect((await read(says('all'), sse(whole), 'data: [DONE]\n\n')).text).toBe('all')
  })

  it('tells tool calls, function calls, other choices and wordless output from silence', async () => {
    const call = { function: { name: 'f', arguments: '{"a":1}' } }
    const tool = (await readDelta({ tool_calls: [call, { function: { arguments: '2' } }] })).chunks[0]!
    expect(tool).toMatchObject({ toolCalls: true, produced: true, extra: 'f{"a":1}2', text: '' })
    const legacy = (await readDelta({ function_call: { name: 'g', arguments: '' } })).chunks[0]!
    expect(legacy).toMatchObject({ toolCalls: true, produced: true, extra: 'g' })
    expect((await readDelta({ tool_calls: [], content: '' })).chunks[0]!.produced).toBe(false)
    expect((await readDelta({ audio: { data: 'x' } })).chunks[0]!.produced).toBe(true)
    const choices = [{ index: 1, delta: { content: 'one' } }, { index: 0, delta: { content: 'zero' } }, null]
    const two = (await read(sse({ choices, id: 'x' }), 'data: [DONE]\n\n')).chunks[0]!
    expect(two).toMatchObject({
      text: 'zero',
      extra: 'one',
      otherChoices: true,
      produced: true,
      raw: { id: 'x' },
    })
  })

  it('is over when every choice that spoke has finished, or at [DONE]', async () => {
    const one = sse({ choices: [{ index: 1, delta: { content: 'b' } }] })
    const endOne = sse({ choices: [{ index: 1, delta: {}, finish_reason: 'length' }] })
    expect((await read(one, says('a', 'stop'))).end.fault?.kind).toBe('incomplete')
    expect((await read(one, says('a', 'stop'), endOne)).end).toMatchObject({
      finishReason: 'stop',
      done: true,
    })
    expect((await read(says('a', ''), 'data: [DONE]\n\n')).end).toMatchObject({
      finishReason: null,
      done: true,
    })
    expect((await read(says('a', 'end_turn'))).end).toEqual({
      finishReason: 'end_turn',
      done: true,
      fault: undefined,
      usage: undefined,
      firstTokenMs: expect.any(Number) as number,
    })
  })

  it('takes neither an "error" finish nor a gap in the stream for a complete answer', async () => {
    expect((await read(says('a', 'error'))).end).toMatchObject({
      finishReason: 'error',
      fault: { kind: 'error_in_stream' },
    })
    const gap = await read(says('a'), 'data: {"choices":[{"del\n\n', says('c', 'stop'))
    expect([gap.text, gap.end.fault?.kind]).toEqual(['a', 'bad_answer'])
    const chatter = await read(
      'data: ping\n\n',
      sse({ type: 'ping' }),
      says('a', 'stop'),
      'data:  [DONE] \n\n',
    )
    expect([chatter.text, chatter.end.fault, chatter.chunks.length]).toEqual(['a', undefined, 1])
    const glued = await read(`${says('a').trim()}\n${says('b', 'stop').trim()}\ndata: [DONE]\n`)
    expect([glued.text, glued.end.done, glued.end.fault]).toEqual(['ab', true, undefined])
  })

  it('returns at [DONE] though the socket stays open, and soon after a finish reason', async () => {
    const done = fakeFetch({ pieces: [says('a'), 'data: [DONE]\n\n', says('never')], ending: 'hang' })
    const got = await collect(requestOf(done.fetch))
    expect([got.text, got.end.done, got.end.fault]).toEqual(['a', true, undefined])
    await expect.poll(done.cancelled).toBe(1)
    const finish = fakeFetch({
      pieces: [says('a', 'stop'), ...Array(99).fill(': still here\n\n')],
      delayMs: 20,
    })
    const times = { connectMs: 9000, firstTokenMs: 9000, silenceMs: 300, totalMs: 20_000 }
    const ended = await collect(requestOf(finish.fetch, { times }))
    expect([ended.text, ended.end.finishReason, ended.end.fault]).toEqual(['a', 'stop', undefined])
    expect(finish.cancelled()).toBe(1)
  })

  it('hands over all chunks of one read together', async () => {
    const got = await read(`${says('a')}${says('b')}`, ': only a comment\n\n', says('c'), 'data: [DONE]\n\n')
    expect(got.reads).toEqual([2, 1])
  })

  it('reads a JSON answer after keep-alives and blanks, streamed or not', async () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2 }
    const json = JSON.stringify({
      choices: [{ message: { content: '漢字', reasoning: 'r' }, finish_reason: null }],
      usage,
    })
    for (const stream of [true, false]) {
      const pieces = ['\ufeff: keep', '-alive\r\n\r\n', '\n\n  ', json.slice(0, 20), json.slice(20)]
      const got = await collect(requestOf(fakeFetch({ pieces }).fetch, { stream }))
      expect(got).toMatchObject({
        text: '漢字',
        reasoning: 'r',
        end: { done: true, usage: { totalTokens: 3 } },
      })
      expect(got.chunks.length).toBe(1)
    }
  })

  it('is bounded, and never hands over more than the bound', () => {
    const blot = (text: string): string => text
    const answer = createAnswer(blot, 100)
    const push = (text: string) => answer.push(new TextEncoder().encode(text))
    expect(push(says('x'.repeat(60))).length).toBe(1)
    expect(push(sse({ choices: [{ delta: { reasoning: 'y'.repeat(41) } }] })).length).toBe(0)
    expect([answer.over(), answer.outcome().fault?.kind]).toEqual([true, 'too_large'])
    const json = createAnswer(blot, 100)
    json.push(new TextEncoder().encode(`{"choices":"${'x'.repeat(100)}`))
    expect(json.outcome().fault?.kind).toBe('too_large')
  })

  it('keeps what was whole before an endless line', async () => {
    const flood = Array.from({ length: 10 }, () => 'z'.repeat(1024 * 1024))
    const fake = fakeFetch({ pieces: [says('kept'), 'data: ', ...flood], ending: 'hang' })
    const got = await collect(requestOf(fake.fetch))
    expect([got.text, got.end.fault?.kind, fake.cancelled()]).toEqual(['kept', 'too_large', 1])
  })

  it('reads 20,000 deltas and a line of a megabyte, whatever the split', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => says(`${i},`))
    const long = says('漢'.repeat(1_000_000), 'stop')
    const text = many.join('') + long
    const pieces = Array.from({ length: Math.ceil(text.length / 5000) }, (_, i) =>
      text.slice(i * 5000, i * 5000 + 5000),
    )
    const got = await read(...pieces)
    expect(got.text.length).toBe(
      Array.from({ length: 20_000 }, (_, i) => `${i},`).join('').length + 1_000_000,
    )
    expect(got.chunks.length).toBe(20_001)
    expect(got.reads.length).toBeLessThanOrEqual(pieces.length)
  })

  it('never throws, whatever JSON an upstream sends', async () => {
    const keys = fc.constantFrom(
      'choices',
      'delta',
      'message',
      'content',
      'usage',
      'error',
      'index',
      'tool_calls',
      'x',
    )
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'medium' },
        fc.constantFrom(null, true, '', 'text', 0, -1, 1.5, 1e300),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
      ),
    }))
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 4 }), async (objects) => {
        const chunks = objects.map((object) =>
          sse({ choices: [{ delta: object, usage: object }], usage: object }),
        )
        for (const pieces of [
          chunks,
          objects.map(sse),
          [JSON.stringify(objects)],
          [JSON.stringify(objects[0] ?? 1)],
        ]) {
          const got = await read(...pieces)
          expect(got.end.done).toBe(got.end.fault === undefined || got.end.finishReason !== null)
        }
      }),
      { numRuns: 150 },
    )
  })
})

describe('usage', () => {
  it.each<[unknown, UpstreamUsage | undefined]>([
    [
      { prompt_tokens: 3, completion_tokens: 4 },
      { promptTokens: 3, completionTokens: 4, totalTokens: 7 },
    ],
    [
      { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
      { promptTokens: 0, completionTokens: 0, totalTokens: 0 },
    ],
    [
      { prompt_tokens: 3, total_tokens: 9 },
      { promptTokens: 3, completionTokens: 6, totalTokens: 9 },
    ],
    [
      { completion_tokens: 3, total_tokens: 9 },
      { promptTokens: 6, completionTokens: 3, totalTokens: 9 },
    ],
    [
      { prompt_tokens: 3, completion_tokens: -1 },
      { promptTokens: 3, completionTokens: 0, totalTokens: 3, missing: ['completion'] },
    ],
    [{ completion_tokens: 5 }, { promptTokens: 0, completionTokens: 5, totalTokens: 5, missing: ['prompt'] }],
    [
      { total_tokens: 5, prompt_tokens: 9 },
      { promptTokens: 9, completionTokens: 0, totalTokens: 5, missing: ['completion'] },
    ],
    [{ prompt_tokens: '3', completion_tokens: 1.5, total_tokens: 1e9 + 1 }, undefined],
    // A total alone does not say what of it is prompt and what is output, which have prices of their own.
    [{ prompt_tokens: 1.5, completion_tokens: 5.5, total_tokens: 7 }, undefined],
    [{ total_tokens: 7 }, undefined],
    [
      { prompt_tokens: 1e9, completion_tokens: null },
      { promptTokens: 1e9, completionTokens: 0, totalTokens: 1e9, missing: ['completion'] },
    ],
    [{}, undefined],
    [null, undefined],
    [
      {
        prompt_tokens: 5,
        completion_tokens: 1,
        prompt_cache_hit_tokens: 4,
        completion_tokens_details: { reasoning_tokens: 0 },
      },
      { promptTokens: 5, completionTokens: 1, totalTokens: 6, cachedTokens: 4, reasoningTokens: 0 },
    ],
    [
      { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 80 } },
      { promptTokens: 5, completionTokens: 1, totalTokens: 6, cachedTokens: 5 },
    ],
  ])('%j', (given, wanted) => {
    expect(readUsage(given)).toEqual(wanted)
  })

  it('is the last valid one wherever it stands, never a sum, and null does not erase it', async () => {
    const some = (n: number) => ({ prompt_tokens: n, completion_tokens: n })
    const got = await read(
      sse({ choices: [], usage: some(1) }),
      sse({ choices: [{ delta: { content: 'a' }, usage: some(2) }], usage: null }),
      sse({ choices: [], x_groq: { usage: some(3) } }),
      sse({ choices: [], usage: { prompt_tokens: -1 } }),
      sse({ choices: [{ delta: {}, finish_reason: 'stop' }], usage: null }),
      'data: [DONE]\n\n',
    )
    expect(got.end.usage).toEqual({ promptTokens: 3, completionTokens: 3, totalTokens: 6 })
    expect(got.chunks.map((chunk) => chunk.usage?.promptTokens)).toEqual([1, 2, 3, undefined, undefined])
  })
})
