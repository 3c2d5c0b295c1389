// The weight-stationary array with its operand memories, feeders, fold sequencer and the accumulators under it.
// An input-stationary array is this one, on the transposed product: weights stream, activations stay.
//
// Activation bank r holds the columns r, ROWS + r, 2 ROWS + r ... of the (out_rows, depth) activations, one after the
// other; weight bank c holds fold after fold the ROWS weights of its column, top row first; places past the matrix
// hold 0.
//
// Timing: `running` rises in cycle 0, in which the first weights stand at the array's inputs. An overflow is raised in
// the cycle of its add: bit r * COLS + c, r = ROWS for the accumulators under the array. out_valid[c] says that the
// accumulator of column c takes its last add (or only store) in this cycle, `out_sums` what it then holds, `out_index`
// its stream index and `out_tile` its column tile.
module ws_core #(
    parameter int ROWS = 16,
    parameter int COLS = 16,
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1,
    parameter int ACC_BITS = 24,
    parameter int SATURATE = 1,
    parameter int DOUBLE = 0,
    parameter int A_ADDRESS_BITS = 8,
    parameter int W_ADDRESS_BITS = 8,
    parameter int INDEX_BITS = 8,
    parameter int COUNT_BITS = 24
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       start,
    input  wire [     COUNT_BITS-1:0] length,
    input  wire [     COUNT_BITS-1:0] outer_tiles,
    input  wire [     COUNT_BITS-1:0] inner_tiles,
    input  wire                       write_activations,
    input  wire [ A_ADDRESS_BITS-1:0] activation_write_address,
    input  wire [    ROWS*A_BITS-1:0] activation_write_data,
    input  wire                       write_weights,
    input  wire [ W_ADDRESS_BITS-1:0] weight_write_address,
    input  wire [    COLS*W_BITS-1:0] weight_write_data,
    output reg                        running,
    output wire                       corner_valid,
    output wire [(ROWS+1)*COLS-1:0]   overflow,
    output wire [           COLS-1:0] out_valid,
    output wire [  COLS*ACC_BITS-1:0] out_sums,
    output wire [COLS*COUNT_BITS-1:0] out_index,
    output wire [COLS*COUNT_BITS-1:0] out_tile
);
  localparam int TAG_BITS = 3 + 2 * COUNT_BITS;

  wire load_read, stream_read, stream_first, first_tile, last_tile;
  wire [W_ADDRESS_BITS-1:0] weight_address;
  wire [A_ADDRESS_BITS-1:0] activation_address;
  wire [ROWS-1:0] load;
  wire [COUNT_BITS-1:0] stream_index, tile;

  ws_sequencer #(
      .ROWS(ROWS),
      .COLS(COLS),
      .DOUBLE(DOUBLE),
      .A_ADDRESS_BITS(A_ADDRESS_BITS),
      .W_ADDRESS_BITS(W_ADDRESS_BITS),
      .COUNT_BITS(COUNT_BITS)
  ) sequencer (
      .clk(clk),
      .rst(rst),
      .start(start),
      .length(length),
      .outer_tiles(outer_tiles),
      .inner_tiles(inner_tiles),
      .load_read(load_read),
      .weight_address(weight_address),
      .load(load),
      .stream_read(stream_read),
      .stream_first(stream_first),
      .activation_address(activation_address),
      .stream_index(stream_index),
      .first_tile(first_tile),
      .last_tile(last_tile),
      .tile(tile)
  );

  always @(posedge clk) running <= !rst && (running || load_read);

  wire [ROWS*A_BITS-1:0] activations_in;
  wire [COLS*W_BITS-1:0] weights_in;
  wire [ROWS-1:0] valid_in, swap_in;
  wire [COLS-1:0] weights_valid, weight_tags;
  wire unused = &{1'b0, weights_valid, weight_tags};

  operand_feeder #(
      .LANES(ROWS),
      .BITS(A_BITS),
      .ADDRESS_BITS(A_ADDRESS_BITS),
      .TAG_BITS(1),
      .SKEW(1)
  ) activation_feeder (
      .clk(clk),
      .rst(rst),
      .write(write_activations),
      .write_address(activation_write_address),
      .write_data(activation_write_data),
      .read(stream_read),
      .read_address(activation_address),
      .read_tags(stream_first),
      .operands(activations_in),
      .valid(valid_in),
      .tags(swap_in)
  );

  operand_feeder #(
      .LANES(COLS),
      .BITS(W_BITS),
      .ADDRESS_BITS(W_ADDRESS_BITS),
      .TAG_BITS(1),
      .SKEW(DOUBLE)
  ) weight_feeder (
      .clk(clk),
      .rst(rst),
      .write(write_weights),
      .write_address(weight_write_address),
      .write_data(weight_write_data),
      .read(load_read),
      .read_address(weight_address),
      .read_tags(1'b0),
      .operands(weights_in),
      .valid(weights_valid),
      .tags(weight_tags)
  );

  wire [COLS*ACC_BITS-1:0] sums;
  ws_array #(
      .ROWS(ROWS),
      .COLS(COLS),
      .A_BITS(A_BITS),
      .A_SIGNED(A_SIGNED),
      .W_BITS(W_BITS),
      .W_SIGNED(W_SIGNED),
      .ACC_BITS(ACC_BITS),
      .SATURATE(SATURATE),
      .DOUBLE(DOUBLE)
  ) array (
      .clk(clk),
      .rst(rst),
      .activations_in(activations_in),
      .valid_in(valid_in),
      .swap_in(swap_in),
      .load_in(load),
      .weights_in(weights_in),
      .sums(sums),
      .corner_valid(corner_valid),
      .overflow(overflow[ROWS*COLS-1:0])
  );

  // what is read for row 0 leaves the bottom of column 0 after one cycle to the input and ROWS adds
  wire [TAG_BITS-1:0] bottom_tags;
  delay_line #(
      .BITS  (TAG_BITS),
      .CYCLES(ROWS + 1)
  ) way_down (
      .clk(clk),
      .rst(rst),
      .d  ({stream_read, first_tile, last_tile, stream_index, tile}),
      .q  (bottom_tags)
  );

  generate
    genvar c;
    for (c = 0; c < COLS; c = c + 1) begin : column
      wire valid, column_first, column_last;
      wire [COUNT_BITS-1:0] index;
      delay_line #(
          .BITS  (TAG_BITS),
          .CYCLES(c)
      ) skew (
          .clk(clk),
          .rst(rst),
          .d  (bottom_tags),
          .q  ({valid, column_first, column_last, index, out_tile[c*COUNT_BITS+:COUNT_BITS]})
      );

      accumulator_column #(
          .ACC_BITS(ACC_BITS),
          .INDEX_BITS(INDEX_BITS),
          .SATURATE(SATURATE)
      ) memory (
          .clk(clk),
          .valid(valid),
          .index(index[INDEX_BITS-1:0]),
          .first_tile(column_first),
          .sum(sums[c*ACC_BITS+:ACC_BITS]),
          .result(out_sums[c*ACC_BITS+:ACC_BITS]),
          .overflow(overflow[ROWS*COLS+c])
      );

      assign out_valid[c] = valid && column_last;
      assign out_index[c*COUNT_BITS+:COUNT_BITS] = index;
    end
  endgenerate
endmodule
