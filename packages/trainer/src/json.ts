/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A JSON object: what identifies a run, what a row of results holds. */
export type JsonObject = { readonly [key: string]: Json }
