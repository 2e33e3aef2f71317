import { v7, validate } from 'uuid'

/** A new UUIDv7: ordered by time of creation, and within this isolate strictly so. */
export const newId = (): string => v7()

export const isId = (text: string): boolean => validate(text)
