// What follows one column of the array: constants of the output channel, requantizer, activation table.
//
// Word `channel` of the constants is {shift, multiplier, bias}. Table = 0 leaves the table out: codes stay as they are.
//
// Timing: the sum of cycle t (valid_in = 1) is the requantized code of cycle t + 4 (one cycle reads the constants) and
// the table's code of cycle t + 7.
module output_lane #(
    parameter int ACC_BITS = 24,
    parameter int BIAS_BITS = 32,
    parameter int MULTIPLIER_BITS = 31,
    parameter int OUT_BITS = 9,
    parameter int ROUNDING = 0,
    parameter int CHANNEL_BITS = 8,
    parameter int TABLE = 0,
    parameter int TABLE_BITS = 9,
    parameter int TABLE_ADDRESS_BITS = 8,
    parameter int LINEAR = 0
) (
    input  wire                                           clk,
    input  wire                                           rst,
    input  wire                                           write_constants,
    input  wire        [                CHANNEL_BITS-1:0] constants_address,
    input  wire        [8+MULTIPLIER_BITS+BIAS_BITS-1:0]  constants_data,
    input  wire                                           write_table,
    input  wire        [          TABLE_ADDRESS_BITS-1:0] table_address,
    input  wire signed [                  TABLE_BITS-1:0] table_data,
    input  wire signed [                    OUT_BITS-1:0] zero_point,
    input  wire signed [                    OUT_BITS-1:0] low,
    input  wire signed [                    OUT_BITS-1:0] high,
    input  wire        [          TABLE_ADDRESS_BITS-1:0] last_entry,
    input  wire signed [                    OUT_BITS-1:0] table_zero_point,
    input  wire        [                            30:0] table_multiplier,
    input  wire signed [                             7:0] table_shift,
    input  wire signed [                            47:0] table_offset,
    input  wire                                           valid_in,
    input  wire signed [                    ACC_BITS-1:0] sum,
    input  wire        [                CHANNEL_BITS-1:0] channel,
    output wire                                           code_valid,
    output wire signed [                    OUT_BITS-1:0] code,
    output wire                                           table_valid,
    output wire signed [                  TABLE_BITS-1:0] table_code
);
  reg present;
  reg signed [ACC_BITS-1:0] present_sum;
  always @(posedge clk) begin
    present <= valid_in && !rst;
    present_sum <= sum;
  end

  wire signed [7:0] shift;
  wire [MULTIPLIER_BITS-1:0] multiplier;
  wire signed [BIAS_BITS-1:0] bias;
  operand_bank #(
      .BITS(8 + MULTIPLIER_BITS + BIAS_BITS),
      .ADDRESS_BITS(CHANNEL_BITS)
  ) constants (
      .clk(clk),
      .write(write_constants),
      .write_address(constants_address),
      .write_data(constants_data),
      .read_address(channel),
      .read_data({shift, multiplier, bias})
  );

  requantizer #(
      .ACC_BITS(ACC_BITS),
      .BIAS_BITS(BIAS_BITS),
      .MULTIPLIER_BITS(MULTIPLIER_BITS),
      .OUT_BITS(OUT_BITS),
      .ROUNDING(ROUNDING)
  ) requantize (
      .clk(clk),
      .rst(rst),
      .valid_in(present),
      .accumulator(present_sum),
      .bias(bias),
      .multiplier(multiplier),
      .shift(shift),
      .zero_point(zero_point),
      .low(low),
      .high(high),
      .valid(code_valid),
      .code(code)
  );

  generate
    if (TABLE != 0) begin : with_table
      activation_lut #(
          .IN_BITS(OUT_BITS),
          .OUT_BITS(TABLE_BITS),
          .ADDRESS_BITS(TABLE_ADDRESS_BITS),
          .LINEAR(LINEAR)
      ) lut (
          .clk(clk),
          .rst(rst),
          .write(write_table),
          .write_address(table_address),
          .write_data(table_data),
          .last_entry(last_entry),
          .zero_point(table_zero_point),
          .multiplier(table_multiplier),
          .shift(table_shift),
          .offset(table_offset),
          .valid_in(code_valid),
          .code_in(code),
          .valid(table_valid),
          .code(table_code)
      );
    end else begin : without_table
      assign table_valid = 1'b0;
      assign table_code = {TABLE_BITS{1'b0}};
      wire unused = &{1'b0, write_table, table_address, table_data, last_entry, table_zero_point, table_multiplier,
                      table_shift, table_offset};
    end
  endgenerate
endmodule
