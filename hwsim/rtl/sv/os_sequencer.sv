// Runs the folds of an output-stationary product: row tiles outer, column tiles inner.
//
// `length` is the depth. A fold reads its operands in `length` cycles, one address of every bank a cycle, and the next
// fold starts INTERVAL cycles after it:
//   OVERLAP = 0 (none):  2 ROWS + COLS + length - 2   OVERLAP = 1 (drain): ROWS + COLS + length - 2
//   OVERLAP = 2 (full):  max(length, ROWS)
// The array sees a read one cycle later, which is when its cycles count: the first read after `start` stands at the
// inputs in cycle 0. The sums of a fold shift out for ROWS cycles from cycle ROWS + COLS + length - 2 of the fold on,
// or, under full overlap, column c from cycle ROWS + length - 1 + c: shift[r] is what row r takes (in column 0),
// only as often as it has rows above; `draining` says that column 0's bottom sum is an output in this cycle, of column
// tile `tile`.
module os_sequencer #(
    parameter int ROWS = 16,
    parameter int COLS = 16,
    parameter int OVERLAP = 0,
    parameter int A_ADDRESS_BITS = 8,
    parameter int W_ADDRESS_BITS = 8,
    parameter int COUNT_BITS = 24
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      start,
    input  wire [    COUNT_BITS-1:0] length,
    input  wire [    COUNT_BITS-1:0] outer_tiles,
    input  wire [    COUNT_BITS-1:0] inner_tiles,
    output wire                      read,
    output wire                      first,
    output wire                      last,
    output wire [A_ADDRESS_BITS-1:0] activation_address,
    output wire [W_ADDRESS_BITS-1:0] weight_address,
    output wire [          ROWS-1:0] shift,
    output wire                      draining,
    output reg  [    COUNT_BITS-1:0] tile
);
  localparam [COUNT_BITS-1:0] ONE = 1;
  localparam int EXTRA = OVERLAP == 0 ? 2 * ROWS + COLS - 2 : ROWS + COLS - 2;
  localparam [COUNT_BITS-1:0] FULL_ROWS = ROWS[COUNT_BITS-1:0];
  localparam [COUNT_BITS-1:0] EXTRA_CYCLES = EXTRA[COUNT_BITS-1:0];
  // from the last read to the first sum at the bottom: one cycle to the inputs, then the way through the array
  localparam int DRAIN_DELAY = OVERLAP == 2 ? ROWS + 1 : ROWS + COLS;

  wire [COUNT_BITS-1:0] longest = length > FULL_ROWS ? length : FULL_ROWS;
  wire [COUNT_BITS-1:0] interval = OVERLAP == 2 ? longest : length + EXTRA_CYCLES;

  reg running;
  reg [COUNT_BITS-1:0] phase, outer, inner, activation_base, weight_base;
  wire last_inner = inner == inner_tiles - ONE;
  wire last_fold = last_inner && outer == outer_tiles - ONE;

  always @(posedge clk) begin
    if (rst) running <= 1'b0;
    else if (start) running <= 1'b1;
    else if (phase == interval - ONE && last_fold) running <= 1'b0;

    if (rst || start) begin
      {phase, outer, inner, activation_base, weight_base} <= {(5 * COUNT_BITS) {1'b0}};
    end else if (running && phase != interval - ONE) begin
      phase <= phase + ONE;
    end else if (running) begin
      phase <= {COUNT_BITS{1'b0}};
      inner <= last_inner ? {COUNT_BITS{1'b0}} : inner + ONE;
      weight_base <= last_inner ? {COUNT_BITS{1'b0}} : weight_base + length;
      if (last_inner) begin
        outer <= outer + ONE;
        activation_base <= activation_base + length;
      end
    end
  end

  wire [COUNT_BITS-1:0] activation_word = activation_base + phase;
  wire [COUNT_BITS-1:0] weight_word = weight_base + phase;
  assign read = running && phase < length;
  assign first = read && phase == {COUNT_BITS{1'b0}};
  assign last = read && phase == length - ONE;
  assign activation_address = activation_word[A_ADDRESS_BITS-1:0];
  assign weight_address = weight_word[W_ADDRESS_BITS-1:0];
  wire unused = &{1'b0, activation_word, weight_word};

  wire drain_start;
  delay_line #(
      .BITS  (1),
      .CYCLES(DRAIN_DELAY)
  ) until_drain (
      .clk(clk),
      .rst(rst),
      .d  (last),
      .q  (drain_start)
  );

  reg draining_on;
  reg [COUNT_BITS-1:0] rows_out;  // rows that have left before this cycle, while draining_on
  wire [COUNT_BITS-1:0] drained = drain_start ? {COUNT_BITS{1'b0}} : rows_out;
  assign draining = drain_start || draining_on;

  always @(posedge clk) begin
    draining_on <= !rst && draining && drained != FULL_ROWS - ONE;
    rows_out <= rst ? {COUNT_BITS{1'b0}} : drained + ONE;
    if (rst || start) tile <= {COUNT_BITS{1'b0}};
    else if (draining && drained == FULL_ROWS - ONE) tile <= tile == inner_tiles - ONE ? {COUNT_BITS{1'b0}} : tile + ONE;
  end

  generate
    genvar r;
    for (r = 0; r < ROWS; r = r + 1) begin : row
      localparam [COUNT_BITS-1:0] ABOVE = r;
      if (r == 0) begin : top
        assign shift[r] = 1'b0;
      end else begin : below
        assign shift[r] = draining && drained < ABOVE;
      end
    end
  endgenerate
endmodule
