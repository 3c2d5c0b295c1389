// Runs the folds of a weight-stationary product: column tiles outer, depth tiles inner.
//
// `length` is the length of the stream (out_rows). A fold loads ROWS weights per column, the bottom row's first, then
// streams `length` activations per row; the next fold starts to load INTERVAL cycles after it:
//   DOUBLE = 0 (none): 2 ROWS + COLS + length - 2   DOUBLE = 1 (full): max(length, ROWS)
// The array sees a read one cycle later, which is when its cycles count: the first weights read after `start` stand at
// the inputs in cycle 0. load[r], in the array's time, is set while row r takes weights: not before those for it or
// for rows below come by. stream_first marks the first activation of a fold; the last four outputs describe the stream
// index that is read, for the accumulators under the array.
module ws_sequencer #(
    parameter int ROWS = 16,
    parameter int COLS = 16,
    parameter int DOUBLE = 0,
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
    output wire                      load_read,
    output wire [W_ADDRESS_BITS-1:0] weight_address,
    output reg  [          ROWS-1:0] load,
    output wire                      stream_read,
    output wire                      stream_first,
    output wire [A_ADDRESS_BITS-1:0] activation_address,
    output wire [    COUNT_BITS-1:0] stream_index,
    output wire                      first_tile,
    output wire                      last_tile,
    output reg  [    COUNT_BITS-1:0] tile
);
  localparam [COUNT_BITS-1:0] ZERO = 0;
  localparam [COUNT_BITS-1:0] ONE = 1;
  localparam [COUNT_BITS-1:0] FULL_ROWS = ROWS[COUNT_BITS-1:0];
  localparam int EXTRA = 2 * ROWS + COLS - 2;
  localparam [COUNT_BITS-1:0] EXTRA_CYCLES = EXTRA[COUNT_BITS-1:0];

  wire [COUNT_BITS-1:0] longest = length > FULL_ROWS ? length : FULL_ROWS;
  wire [COUNT_BITS-1:0] interval = DOUBLE != 0 ? longest : length + EXTRA_CYCLES;

  // the loader: counts the cycles of each fold
  reg running;
  reg [COUNT_BITS-1:0] phase, outer, inner, weight_base;
  wire last_inner = inner == inner_tiles - ONE;
  wire last_fold = last_inner && outer == outer_tiles - ONE;

  always @(posedge clk) begin
    if (rst) running <= 1'b0;
    else if (start) running <= 1'b1;
    else if (phase == interval - ONE && last_fold) running <= 1'b0;

    if (rst || start) begin
      {phase, outer, inner, weight_base} <= {(4 * COUNT_BITS) {1'b0}};
    end else if (running && phase != interval - ONE) begin
      phase <= phase + ONE;
    end else if (running) begin
      phase <= ZERO;
      inner <= last_inner ? ZERO : inner + ONE;
      weight_base <= weight_base + FULL_ROWS;
      if (last_inner) outer <= outer + ONE;
    end
  end

  wire [COUNT_BITS-1:0] weight_word = weight_base + (FULL_ROWS - ONE) - phase;
  assign load_read = running && phase < FULL_ROWS;
  assign weight_address = weight_word[W_ADDRESS_BITS-1:0];

  generate
    genvar r;
    for (r = 0; r < ROWS; r = r + 1) begin : row
      localparam [COUNT_BITS-1:0] ABOVE = r;
      if (r == 0) begin : top
        always @(posedge clk) load[r] <= !rst && load_read;
      end else begin : below
        always @(posedge clk) load[r] <= !rst && load_read && phase >= ABOVE;
      end
    end
  endgenerate

  // the stream: starts ROWS cycles after its fold's load, and may run under the next fold's
  wire stream_start;
  delay_line #(
      .BITS  (1),
      .CYCLES(ROWS)
  ) until_loaded (
      .clk(clk),
      .rst(rst),
      .d  (running && phase == ZERO),
      .q  (stream_start)
  );

  reg streaming;
  reg [COUNT_BITS-1:0] streamed, depth_tile, activation_base;
  assign stream_index = stream_start ? ZERO : streamed;
  assign stream_read  = stream_start || streaming;
  assign stream_first = stream_start;
  assign first_tile   = depth_tile == ZERO;
  assign last_tile    = depth_tile == inner_tiles - ONE;
  wire stream_end = stream_read && stream_index == length - ONE;
  wire [COUNT_BITS-1:0] activation_word = activation_base + stream_index;
  assign activation_address = activation_word[A_ADDRESS_BITS-1:0];
  wire unused = &{1'b0, activation_word, weight_word};

  always @(posedge clk) begin
    streaming <= !rst && stream_read && !stream_end;
    streamed  <= rst ? ZERO : stream_index + ONE;
    if (rst || start) begin
      {depth_tile, activation_base, tile} <= {(3 * COUNT_BITS) {1'b0}};
    end else if (stream_end) begin
      depth_tile <= last_tile ? ZERO : depth_tile + ONE;
      activation_base <= last_tile ? ZERO : activation_base + length;
      if (last_tile) tile <= tile + ONE;
    end
  end
endmodule
