// Collections that forget what is oldest, so that a page which is open for days stays small.

/** The last items, bounded by their number and by their size in characters. */
export class Recent<T> {
  /** How many items were ever added. */
  count = 0;
  readonly #maxItems: number;
  readonly #maxSize: number;
  readonly #sizeOf: (item: T) => number;
  #items: T[] = [];
  #start = 0;
  #size = 0;

  constructor(maxItems: number, maxSize: number, sizeOf: (item: T) => number) {
    this.#maxItems = maxItems;
    this.#maxSize = maxSize;
    this.#sizeOf = sizeOf;
  }

  add(item: T): void {
    this.count += 1;
    this.#items.push(item);
    this.#size += this.#sizeOf(item);
    while (this.length > this.#maxItems || (this.#size > this.#maxSize && this.length > 1)) {
      this.#size -= this.#sizeOf(this.#items[this.#start]!);
      this.#start += 1;
    }
    if (this.#start > this.#maxItems) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
  }

  get length(): number {
    return this.#items.length - this.#start;
  }

  /** Returns the newest items that pass, the newest first. */
  newest(count: number, passes: (item: T) => boolean = () => true): T[] {
    const found: T[] = [];
    for (let index = this.#items.length - 1; index >= this.#start; index -= 1) {
      if (found.length === count) break;
      const item = this.#items[index]!;
      if (passes(item)) found.push(item);
    }
    return found;
  }
}

/** Items by their id; when there are too many, one that may go does, or else the oldest. */
export class Known<T> {
  readonly #items = new Map<string, T>();
  readonly #maxItems: number;
  readonly #mayGo: (item: T) => boolean;

  constructor(maxItems: number, mayGo: (item: T) => boolean) {
    this.#maxItems = maxItems;
    this.#mayGo = mayGo;
  }

  get(id: string): T | undefined {
    return this.#items.get(id);
  }

  /** Returns an item, which is made if it is not there. */
  getOrMake(id: string, make: () => T): T {
    const found = this.#items.get(id);
    if (found !== undefined) return found;
    if (this.#items.size >= this.#maxItems) this.#items.delete(this.#toForget());
    const made = make();
    this.#items.set(id, made);
    return made;
  }

  get size(): number {
    return this.#items.size;
  }

  /** The items, the oldest first. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  #toForget(): string {
    let oldest: string | undefined;
    for (const [id, item] of this.#items) {
      if (this.#mayGo(item)) return id;
      oldest ??= id;
    }
    return oldest!;
  }
}

/** Cuts a text that is longer than somebody would read. */
export function cut(text: string, length = 2000): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
